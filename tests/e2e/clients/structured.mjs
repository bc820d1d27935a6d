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

// What zod writes for its types, as the helper adapts it and as it is; zod itself judges the answers.
const node = z.object({
  value: z.boolean(),
  get next() {
    return node.nullable();
  },
});
const generated = {
  unions: z.object({
    name: z.string().max(3).nullable(),
    size: z.union([z.literal("x"), z.int().min(0).max(9)]),
    shape: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("circle"), radius: z.int().min(1).max(9) }),
      z.object({ kind: z.literal("square"), filled: z.boolean() }),
    ]),
    both: z.intersection(z.object({ a: z.boolean() }), z.object({ b: z.boolean() })),
  }),
  formats: z.object({
    ...{ at: z.iso.datetime(), on: z.iso.date(), time: z.iso.time() },
    ...{ id: z.uuid(), ip: z.ipv4(), ip6: z.ipv6(), phone: z.e164() },
  }),
  duration: z.object({ lasts: z.iso.duration() }),
  patterns: z.object({
    code: z.string().regex(/^[A-Z]{2}\d{1,3}$/),
    version: z.templateLiteral(["v", z.enum(["1", "2"])]),
  }),
  numbers: z.object({
    ...{ safe: z.int(), small: z.int32(), float: z.float32(), part: z.number().gt(0).lt(1) },
    ...{ fives: z.number().multipleOf(5), cents: z.number().multipleOf(0.01) },
    thirds: z.int().multipleOf(3).min(0).max(30),
  }),
  recursive: node,
  optional: z.object({ a: z.boolean().optional().nullable(), b: z.boolean().default(true) }),
  literals: z.object({ one: z.literal([1, "a", null]), tags: z.array(z.enum(["a", "b"])).max(2) }),
};
const records = {
  tuple: z.object({ pair: z.tuple([z.boolean(), z.enum(["a"])]) }),
  record: z.object({ all: z.record(z.enum(["x", "y"]), z.boolean()) }),
  partial: z.object({ some: z.partialRecord(z.enum(["x", "y"]), z.boolean()) }),
  named: z.object({ any: z.record(z.string().regex(/^[ab]$/), z.boolean()) }),
};

async function checkSchema(schema, response_format) {
  let n_whole = 0;
  for (const seed of [1, 2]) {
    const asked = { ...request, max_tokens: 600, seed, response_format };
    const [choice] = (await client.chat.completions.create(asked)).choices;
    if (choice.finish_reason !== "stop") continue;
    schema.parse(JSON.parse(choice.message.content));
    n_whole++;
  }
  assert.ok(n_whole > 0, "no answer came to its end");
}

for (const [name, schema] of Object.entries({ ...generated, ...records })) {
  test(`zod: ${name}`, async () => {
    const plain = { name, strict: true, schema: z.toJSONSchema(schema) };
    await checkSchema(schema, { type: "json_schema", json_schema: plain });
    if (name in generated) await checkSchema(schema, zodResponseFormat(schema, name));
  });
}

test("zod: an e-mail address, of which this model finds no end", async () => {
  const schema = z.object({ mail: z.email() });
  const json_schema = { name: "mail", strict: true, schema: z.toJSONSchema(schema) };
  for (const response_format of [zodResponseFormat(schema, "mail"), { type: "json_schema", json_schema }]) {
    const asked = { ...request, max_tokens: 20, response_format };
    const [choice] = (await client.chat.completions.create(asked)).choices;
    assert.match(choice.message.content, /^\{"mail": ?"[\w'+.-]+/);
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
