// structured.mjs BASE_URL - answers that keep to a schema, asked for as each client does. The tiny
// model would never say such things by itself: what holds them is the grammar.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, Output, tool } from "ai";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const baseURL = `${base}v1`;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Who is there?" }];
const request = { model: "default", messages, max_tokens: 300 };

// Of a bounded length, so that an answer ends by itself.
const Person = z.object({
  name: z.enum(["Ann", "Bob"]),
  isTall: z.boolean(),
  pets: z.array(z.enum(["cat", "dog"])).max(2),
});

const City = z.object({ city: z.enum(["Paris", "Rome"]) });

test("openai: parse", async () => {
  for (const seed of [1, 2, 3]) {
    const response_format = zodResponseFormat(Person, "person");
    const completion = await client.chat.completions.parse({ ...request, seed, response_format });
    assert.equal(completion.choices[0].finish_reason, "stop");
    Person.parse(completion.choices[0].message.parsed);
  }
});

test("openai: a stream of an object", async () => {
  const response_format = zodResponseFormat(Person, "person");
  const stream = client.chat.completions.stream({ ...request, seed: 4, response_format });
  Person.parse((await stream.finalChatCompletion()).choices[0].message.parsed);
});

test("openai: any object", async () => {
  const { choices } = await client.chat.completions.create({
    ...{ ...request, temperature: 0 },
    response_format: { type: "json_object" },
  });
  const { content } = choices[0].message;
  if (choices[0].finish_reason === "stop") assert.equal(typeof JSON.parse(content), "object");
  else assert.equal(content.trim()[0], "{");
});

test("openai: tools whose arguments keep to their schema", async () => {
  const tools = [zodFunction({ name: "get_weather", parameters: City })];
  for (const tool_choice of ["required", { type: "function", function: { name: "get_weather" } }]) {
    const { choices } = await client.chat.completions.create({ ...request, tools, tool_choice });
    assert.equal(choices[0].finish_reason, "tool_calls");
    for (const call of choices[0].message.tool_calls)
      City.parse(JSON.parse(call.function.arguments));
  }
});

const providers = {
  compatible: createOpenAICompatible({ name: "sinkd", baseURL, supportsStructuredOutputs: true })(
    "default",
  ),
  openai: createOpenAI({ baseURL, apiKey: "none" }).chat("default"),
};

for (const [name, model] of Object.entries(providers)) {
  test(`AI SDK, ${name}: an object`, async () => {
    const { output } = await generateText({
      ...{ model, prompt: "Who is there?", maxOutputTokens: 300, maxRetries: 0 },
      output: Output.object({ schema: Person }),
    });
    Person.parse(output);
  });

  test(`AI SDK, ${name}: a tool that is called`, async () => {
    const asked = [];
    const { steps } = await generateText({
      ...{ model, prompt: "How is the weather?", maxOutputTokens: 300, maxRetries: 0 },
      tools: {
        get_weather: tool({
          inputSchema: City,
          execute: async ({ city }) => (asked.push(city), "sunny"),
        }),
      },
      toolChoice: "required",
    });
    assert.equal(steps[0].finishReason, "tool-calls");
    assert.ok(asked.length >= 1);
  });
}

test("LangChain: an object", async () => {
  const model = new ChatOpenAI({
    model: "default",
    apiKey: "none",
    maxTokens: 300,
    maxRetries: 0,
    configuration: { baseURL },
  });
  Person.parse(
    await model.withStructuredOutput(Person, { method: "jsonSchema" }).invoke("Who is there?"),
  );
});

await main();
