// openai.mjs PACKAGE BASE_URL KEYED_URL KEY - the official client, in the major version that PACKAGE
// names. Its stream helpers are strict parsers: they throw where a chunk breaks a rule.
import assert from "node:assert/strict";
import { main, test } from "../cases.mjs";

const [name, base, keyed, key] = process.argv.slice(2);
const { default: OpenAI } = await import(name);
const baseURL = `${base}v1`;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });

const request = {
  model: "default",
  messages: [{ role: "user", content: "Hello" }],
  max_tokens: 12,
  temperature: 0,
  ignore_eos: true,
};
const textOf = (completion) => completion.choices[0].message.content;
const whole = textOf(await client.chat.completions.create(request));

// ---- chat ----

test("models are listed and found", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model);
  assert.equal(models.length, 1);
  assert.equal(models[0].object, "model");
  assert.equal((await client.models.retrieve(models[0].id)).id, models[0].id);
  await assert.rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError);
});

test("a chat, whole", async () => {
  const completion = await client.chat.completions.create(request);
  assert.ok(whole.length > 0);
  assert.equal(textOf(completion), whole);
  assert.match(completion.id, /^chatcmpl-/);
  assert.match(completion._request_id, /^req_/);
  assert.equal(completion.choices[0].finish_reason, "length");
  assert.equal(completion.usage.completion_tokens, 12);
  assert.ok(completion.session.id);
});

test("a chat, streamed", async () => {
  const chunks = [];
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""), whole);
  assert.ok(chunks.length > 5);
  assert.equal(chunks.at(-1).usage.completion_tokens, 12);
  assert.deepEqual(chunks.at(-1).choices, []);
});

test("the helper for streams", async () => {
  const stream = client.chat.completions.stream({
    ...request,
    stream_options: { include_usage: true },
  });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const completion = await stream.finalChatCompletion();
  assert.equal(textOf(completion), whole);
  assert.equal(text, whole);
  assert.equal((await stream.totalUsage()).completion_tokens, 12);
});

test("several answers to one question", async () => {
  const several = { ...request, temperature: 1, seed: 5, n: 3 };
  const { choices, usage } = await client.chat.completions.create(several);
  assert.deepEqual(
    choices.map(({ index }) => index),
    [0, 1, 2],
  );
  assert.equal(new Set(choices.map((choice) => choice.message.content)).size, 3);
  assert.equal(usage.completion_tokens, 36);
  const streamed = await client.chat.completions.stream(several).finalChatCompletion();
  assert.deepEqual(
    streamed.choices.map((choice) => choice.message.content),
    choices.map((choice) => choice.message.content),
  );
});

test("log probabilities", async () => {
  const asked = { ...request, logprobs: true, top_logprobs: 3 };
  const { content } = (await client.chat.completions.create(asked)).choices[0].logprobs;
  assert.equal(content.length, 12);
  assert.equal(Buffer.concat(content.map(({ bytes }) => Buffer.from(bytes))).toString(), whole);
  for (const token of content) {
    assert.equal(token.top_logprobs.length, 3);
    assert.equal(token.logprob, Math.max(...token.top_logprobs.map(({ logprob }) => logprob)));
  }
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].logprobs.content, content);
});

test("what a client sends back is found in the session", async () => {
  const messages = [...request.messages, { role: "assistant", content: whole }];
  const next = { ...request, messages: [...messages, { role: "user", content: "And then?" }] };
  await client.chat.completions.create(request);
  const completion = await client.chat.completions.create(next);
  assert.equal(completion.session.match, "append");
  assert.ok(completion.usage.prompt_tokens_details.cached_tokens > 0);
});

test("many at once", async () => {
  const questions = ["One", "Two", "Three", "Four", "Five", "Six"];
  const ask = (content) =>
    client.chat.completions.create({ ...request, messages: [{ role: "user", content }] });
  const alone = [];
  for (const question of questions) alone.push(textOf(await ask(question)));
  const together = (await Promise.all(questions.map(ask))).map(textOf);
  assert.deepEqual(together, alone);
});

test("completions, whole and streamed", async () => {
  const body = {
    model: "default",
    prompt: "Once",
    max_tokens: 8,
    temperature: 0,
    ignore_eos: true,
  };
  const completion = await client.completions.create(body);
  assert.equal(completion.object, "text_completion");
  let text = "";
  for await (const chunk of await client.completions.create({ ...body, stream: true }))
    text += chunk.choices[0]?.text ?? "";
  assert.equal(text, completion.choices[0].text);
});

// ---- tools ----

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: {
      type: "object",
      properties: { city: { enum: ["Paris", "Rome"] } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

test("a required tool is called, and its result goes back", async () => {
  const asked = { ...request, ignore_eos: false, tools: [weather], tool_choice: "required" };
  const [choice] = (await client.chat.completions.create(asked)).choices;
  const [call] = choice.message.tool_calls;
  assert.match(call.id, /^call_/);
  assert.equal(call.function.name, "get_weather");

  const streamed = client.chat.completions.stream(asked);
  let pieces = "";
  streamed.on("tool_calls.function.arguments.delta", (event) => (pieces += event.arguments_delta));
  const snapshot = await new Promise((resolve) => {
    streamed.on("chunk", (_, current) => current.choices[0]?.finish_reason && resolve(current));
    streamed.done().catch(() => {}); // an answer cut by its length is an error to the helper
  });
  assert.equal(
    snapshot.choices[0].message.tool_calls[0].function.arguments,
    call.function.arguments,
  );
  assert.equal(pieces, call.function.arguments);

  const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
  const next = await client.chat.completions.create({
    ...{ ...request, tools: [weather] },
    messages: [...request.messages, choice.message, result],
  });
  assert.ok(next.usage.prompt_tokens_details.cached_tokens > 0);
});

// ---- errors, retries, leaving ----

test("errors have their class, param and code", async () => {
  const failure = async (fields) => {
    try {
      await client.chat.completions.create({ ...request, ...fields });
    } catch (error) {
      return [error.constructor, error.status, error.param, error.code];
    }
    assert.fail("it was accepted");
  };
  const { BadRequestError } = OpenAI;
  assert.deepEqual(await failure({ temperature: -1 }), [
    BadRequestError,
    400,
    "temperature",
    "decimal_below_min_value",
  ]);
  assert.deepEqual(await failure({ messages: [] }), [
    BadRequestError,
    400,
    "messages",
    "empty_array",
  ]);
  assert.deepEqual(await failure({ messages: [{ role: "x", content: "" }] }), [
    BadRequestError,
    400,
    "messages[0].role",
    "invalid_value",
  ]);
});

test("keys", async () => {
  const create = (apiKey) =>
    new OpenAI({ baseURL: `${keyed}v1`, apiKey, maxRetries: 0 }).chat.completions.create(request);
  await assert.rejects(create("wrong"), (error) => {
    assert.equal(error.constructor, OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
  assert.equal(textOf(await create(key)), whole);
});

test("leaving in the middle is no error for either side", async () => {
  const stream = await client.chat.completions.create({
    ...request,
    max_tokens: 1_000_000,
    stream: true,
  });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break; // aborts
  }
  const controller = new AbortController();
  const asked = client.chat.completions.create(
    { ...request, max_tokens: 1_000_000 },
    { signal: controller.signal },
  );
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(asked, OpenAI.APIUserAbortError);
  assert.equal(textOf(await client.chat.completions.create(request)), whole);
});

test("a conversation that still answers is tried again until it is free", async () => {
  const headers = { "X-Conversation-Id": `busy-${name}` };
  const other = await client.chat.completions.create(
    { ...request, max_tokens: 1_000_000, stream: true },
    { headers },
  );
  const statuses = [];
  const patient = new OpenAI({
    ...{ baseURL, apiKey: "none", maxRetries: 3 },
    fetch: async (...args) => {
      const response = await fetch(...args);
      statuses.push(response.status);
      other.controller.abort();
      return response;
    },
  });
  const completion = await patient.chat.completions.create(
    { ...request, messages: [{ role: "user", content: "Something else" }] },
    { headers },
  );
  assert.equal(completion.choices[0].finish_reason, "length");
  assert.equal(statuses[0], 409);
  assert.equal(statuses.at(-1), 200);
});

await main();
