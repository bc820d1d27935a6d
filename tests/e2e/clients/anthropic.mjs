// anthropic.mjs BASE_URL KEYED_URL KEY - Anthropic's official client. Its stream helper is a strict
// parser: it throws where an event comes that may not.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { main, test } from "../cases.mjs";

const [base, keyed, key] = process.argv.slice(2);
const open = (baseURL, apiKey) => new Anthropic({ baseURL, apiKey, authToken: null, maxRetries: 0 });
const client = open(base, "none");

const request = {
  model: "default",
  max_tokens: 12,
  temperature: 0,
  messages: [{ role: "user", content: "Hello" }],
};
const whole = await client.messages.create(request);

test("a message, whole", async () => {
  assert.equal(whole.type, "message");
  assert.match(whole.id, /^msg_/);
  assert.ok(whole.usage.output_tokens > 0);
  for (const block of whole.content) assert.equal(block.type, "text");
});

test("a message, streamed", async () => {
  const stream = client.messages.stream(request);
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const message = await stream.finalMessage();
  assert.deepEqual(message.content, whole.content);
  assert.equal(message.stop_reason, whole.stop_reason);
  assert.equal(message.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(text, whole.content.map((block) => block.text).join(""));
});

test("the events themselves", async () => {
  const kinds = [];
  for await (const event of await client.messages.create({ ...request, stream: true }))
    kinds.push(event.type);
  assert.equal(kinds[0], "message_start");
  assert.deepEqual(kinds.slice(-2), ["message_delta", "message_stop"]);
});

const weather = {
  name: "get_weather",
  description: "The weather in a city",
  input_schema: {
    type: "object",
    properties: { city: { type: "string", enum: ["Paris", "Rome"] } },
    required: ["city"],
    additionalProperties: false,
  },
};

test("a tool is called, and its result goes back", async () => {
  const asked = { ...request, max_tokens: 200, tools: [weather], tool_choice: { type: "any" } };
  const message = await client.messages.create(asked);
  const [call] = message.content;
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(call.name, "get_weather");
  const inputs = [];
  const stream = client.messages.stream(asked);
  stream.on("inputJson", (_, snapshot) => inputs.push(snapshot));
  const [streamed] = (await stream.finalMessage()).content;
  assert.deepEqual(streamed.input, call.input);
  assert.ok(inputs.length > 1);

  const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
  const next = await client.messages.create({
    ...request,
    tools: [weather],
    messages: [
      ...request.messages,
      { role: "assistant", content: message.content },
      { role: "user", content: [result] },
    ],
  });
  assert.ok(next.usage.cache_read_input_tokens > 0);
});

test("tokens are counted", async () => {
  const { model, messages } = request;
  const counted = await client.messages.countTokens({ model, messages });
  const { usage } = await client.messages.create(request);
  assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
});

test("errors have their class", async () => {
  await assert.rejects(client.messages.create({ ...request, temperature: -1 }), (error) => {
    assert.equal(error.constructor, Anthropic.BadRequestError);
    assert.equal(error.error.error.type, "invalid_request_error");
    return true;
  });
  await assert.rejects(open(keyed, "wrong").messages.create(request), Anthropic.AuthenticationError);
  assert.deepEqual((await open(keyed, key).messages.create(request)).content, whole.content);
});

await main();
