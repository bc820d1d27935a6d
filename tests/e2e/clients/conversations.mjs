// conversations.mjs BASE_URL - stored conversations, through the official client and through the
// Agents SDK, whose sessions live in them.
import assert from "node:assert/strict";
import { OpenAIConversationsSession } from "@openai/agents";
import OpenAI from "openai";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}v1`, apiKey: "none", maxRetries: 0 });
const message = (text, role = "user") => ({
  type: "message",
  role,
  content: [{ type: role === "assistant" ? "output_text" : "input_text", text }],
});
const textOf = (item) => item.content[0].text;

async function collect(pages) {
  const all = [];
  for await (const item of pages) all.push(item);
  return all;
}

test("a conversation is made, changed and deleted", async () => {
  const made = await client.conversations.create({ metadata: { topic: "sky" } });
  assert.match(made.id, /^conv_/);
  assert.equal(made.object, "conversation");
  assert.deepEqual(made.metadata, { topic: "sky" });
  assert.deepEqual(await client.conversations.retrieve(made.id), made);
  const changed = await client.conversations.update(made.id, { metadata: { topic: "sea" } });
  assert.deepEqual(changed.metadata, { topic: "sea" });
  const deleted = await client.conversations.delete(made.id);
  assert.deepEqual(
    [deleted.id, deleted.object, deleted.deleted],
    [made.id, "conversation.deleted", true],
  );
  await assert.rejects(client.conversations.retrieve(made.id), OpenAI.NotFoundError);
});

test("items are added, listed over pages, found and deleted", async () => {
  const { id } = await client.conversations.create({ items: [message("first")] });
  const texts = Array.from({ length: 45 }, (_, i) => `item ${i}`);
  for (let i = 0; i < texts.length; i += 15)
    await client.conversations.items.create(id, {
      items: texts.slice(i, i + 15).map((text) => message(text)),
    });
  const all = ["first", ...texts];
  const forward = await collect(client.conversations.items.list(id, { order: "asc", limit: 10 }));
  assert.deepEqual(forward.map(textOf), all);
  const backward = await collect(client.conversations.items.list(id, { limit: 10 }));
  assert.deepEqual(backward.map(textOf), [...all].reverse());
  assert.equal(new Set(forward.map((item) => item.id)).size, all.length);

  const second = forward[1];
  const found = await client.conversations.items.retrieve(second.id, { conversation_id: id });
  assert.deepEqual(found, second);
  const left = await client.conversations.items.delete(second.id, { conversation_id: id });
  assert.equal(left.id, id);
  assert.equal((await collect(client.conversations.items.list(id))).length, all.length - 1);
});

test("an Agents SDK session keeps its items", async () => {
  const session = new OpenAIConversationsSession({ client });
  const id = await session.getSessionId();
  assert.match(id, /^conv_/);
  await session.addItems([
    { role: "user", content: "Hello" },
    {
      role: "assistant",
      type: "message",
      status: "completed",
      content: [{ type: "output_text", text: "Hi" }],
    },
    { role: "user", content: "And then?" },
  ]);
  const items = await session.getItems();
  assert.deepEqual(
    items.map((item) => item.role),
    ["user", "assistant", "user"],
  );
  assert.equal((await session.getItems(2)).length, 2);

  const again = new OpenAIConversationsSession({ client, conversationId: id });
  assert.equal((await again.getItems()).length, 3);
  assert.equal((await again.popItem()).role, "user");
  assert.equal((await session.getItems()).length, 2);
  await session.clearSession();
  await assert.rejects(client.conversations.retrieve(id), OpenAI.NotFoundError);
});

await main();
