// openai_stateful.mjs PACKAGE BASE_URL - responses and conversations through the official client, in
// the major version that PACKAGE names. Its stream helper is a strict parser.
import assert from "node:assert/strict";
import { main, test } from "../cases.mjs";

const [name, base] = process.argv.slice(2);
const { default: OpenAI } = await import(name);
const client = new OpenAI({ baseURL: `${base}v1`, apiKey: "none", maxRetries: 0 });
const request = {
  model: "default",
  input: "Hello",
  max_output_tokens: 16,
  temperature: 0,
  ignore_eos: true,
};
const long = { ...request, max_output_tokens: 1000000 };

async function all(page) {
  const items = [];
  for await (const item of page) items.push(item);
  return items;
}

test("a response, whole", async () => {
  const response = await client.responses.create(request);
  assert.match(response.id, /^resp_/);
  assert.ok(response.output_text.length > 0);
  assert.equal(response.status, "incomplete");
  assert.equal(response.incomplete_details.reason, "max_output_tokens");
  assert.equal(response.usage.output_tokens, 16);
});

test("a response, event by event", async () => {
  const whole = (await client.responses.create(request)).output_text;
  let text = "";
  let last;
  for await (const event of await client.responses.create({ ...request, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.equal(text, whole);
  assert.equal(last.type, "response.incomplete");
});

test("the stream helper takes every event", async () => {
  const whole = (await client.responses.create(request)).output_text;
  const stream = client.responses.stream(request);
  let text = "";
  stream.on("response.output_text.delta", (event) => (text = event.snapshot));
  const final = await stream.finalResponse();
  assert.equal(text, whole);
  assert.equal(final.output_text ?? text, whole);
});

test("a chain of responses", async () => {
  const first = await client.responses.create(request);
  const next = await client.responses.create({
    ...request,
    input: "And?",
    previous_response_id: first.id,
  });
  assert.equal(next.previous_response_id, first.id);
  assert.ok(next.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens);
  const items = await all(client.responses.inputItems.list(next.id, { order: "asc", limit: 2 }));
  assert.deepEqual(
    items.map((item) => item.role),
    ["user", "assistant", "user"],
  );
  assert.equal(items[1].content[0].text, first.output_text);
});

test("a response is retrieved and deleted", async () => {
  const made = await client.responses.create({ ...request, metadata: { a: "b" } });
  const found = await client.responses.retrieve(made.id);
  assert.equal(found.output_text, made.output_text);
  assert.deepEqual(found.metadata, { a: "b" });
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
});

test("a response in the background is polled, streamed again and cancelled", async () => {
  let response = await client.responses.create({ ...request, background: true });
  while (response.status === "queued" || response.status === "in_progress")
    response = await client.responses.retrieve(response.id);
  assert.equal(response.status, "incomplete");
  const replayed = client.responses.stream({ response_id: response.id });
  assert.equal((await replayed.finalResponse()).id, response.id);
  let n = 0;
  for await (const event of await client.responses.retrieve(response.id, {
    stream: true,
    starting_after: 2,
  })) {
    assert.ok(event.sequence_number > 2);
    n += 1;
  }
  assert.ok(n > 2);

  const running = await client.responses.create({ ...long, background: true });
  const cancelled = await client.responses.cancel(running.id);
  assert.equal(cancelled.status, "cancelled");
});

test("a stream can be left", async () => {
  for await (const event of await client.responses.create({ ...long, stream: true })) {
    if (event.type === "response.output_text.delta") break;
  }
});

test("conversations and their items", async () => {
  const made = await client.conversations.create({
    metadata: { topic: "tea" },
    items: [{ type: "message", role: "user", content: "one" }],
  });
  assert.deepEqual((await client.conversations.retrieve(made.id)).metadata, { topic: "tea" });
  assert.deepEqual((await client.conversations.update(made.id, { metadata: {} })).metadata, {});
  const added = await client.conversations.items.create(made.id, {
    items: [2, 3, 4].map((n) => ({ role: "user", content: `${n}` })),
  });
  assert.equal(added.data.length, 3);
  const items = await all(client.conversations.items.list(made.id, { limit: 2, order: "asc" }));
  assert.deepEqual(
    items.map((item) => item.content[0].text),
    ["one", "2", "3", "4"],
  );
  const one = await client.conversations.items.retrieve(items[0].id, { conversation_id: made.id });
  assert.deepEqual(one, items[0]);
  const kept = await client.conversations.items.delete(items[0].id, { conversation_id: made.id });
  assert.equal(kept.id, made.id);
  const gone = await client.conversations.delete(made.id);
  assert.equal(gone.deleted, true);
  await assert.rejects(client.conversations.retrieve(made.id), OpenAI.NotFoundError);
});

test("responses in a conversation", async () => {
  const { id } = await client.conversations.create();
  await client.responses.create({ ...request, conversation: id });
  const next = await client.responses.create({ ...request, conversation: { id }, input: "And?" });
  assert.equal(next.conversation.id, id);
  assert.equal((await all(client.conversations.items.list(id))).length, 4);
});

test("errors say what is wrong", async () => {
  const wrong = [
    [{ ...request, temperature: 9 }, "temperature", "decimal_above_max_value"],
    [
      { ...request, previous_response_id: "resp_none" },
      "previous_response_id",
      "previous_response_not_found",
    ],
    [{ ...request, tools: [{ type: "web_search" }] }, "tools[0].type", "unsupported_value"],
  ];
  for (const [body, param, code] of wrong)
    await assert.rejects(client.responses.create(body), { status: 400, param, code });
});

test("input tokens are counted", async () => {
  const made = await client.responses.create(request);
  const body = { model: "default", input: "Hello" };
  const { input_tokens } = await client.responses.inputTokens.count(body);
  assert.equal(input_tokens, made.usage.input_tokens);
});

await main();
