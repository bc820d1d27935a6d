// structured.mjs BASE_URL - answers that keep to a schema, asked for as each client does. The tiny
// model would never say such things by itself: what holds them is the grammar.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, Output } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
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
