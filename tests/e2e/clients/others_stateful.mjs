// others_stateful.mjs BASE_URL - responses and conversations through what is built on the API: the
// AI SDK, LangChain, and the sessions of the agents SDK.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { OpenAIConversationsSession } from "@openai/agents";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const baseURL = `${base}v1`;

test("AI SDK: responses, whole and streamed", async () => {
  const model = createOpenAI({ baseURL, apiKey: "none" }).responses("default");
  const whole = await generateText({ model, prompt: "Hello", maxOutputTokens: 12, temperature: 0 });
  const stream = streamText({ model, prompt: "Hello", maxOutputTokens: 12, temperature: 0 });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.ok((await stream.usage).outputTokens > 0);
});

test("AI SDK: a conversation by references to stored items", async () => {
  const model = createOpenAI({ baseURL, apiKey: "none" }).responses("default");
  const first = await generateText({ model, prompt: "Hello", maxOutputTokens: 12, temperature: 0 });
  const messages = [
    { role: "user", content: "Hello" },
    ...first.response.messages,
    { role: "user", content: "And?" },
  ];
  const next = await generateText({ model, messages, maxOutputTokens: 12, temperature: 0 });
  assert.ok(next.usage.inputTokens > first.usage.inputTokens);
  const { responseId } = first.providerMetadata.openai;
  const chained = await generateText({
    model,
    prompt: "And?",
    maxOutputTokens: 12,
    temperature: 0,
    providerOptions: { openai: { previousResponseId: responseId } },
  });
  assert.ok(chained.usage.inputTokens > first.usage.inputTokens);
});

test("LangChain: responses, whole and streamed", async () => {
  const model = new ChatOpenAI({
    model: "default",
    apiKey: "none",
    configuration: { baseURL },
    useResponsesApi: true,
    maxTokens: 12,
    temperature: 0,
    maxRetries: 0,
  });
  const whole = await model.invoke("Hello");
  let text = "";
  for await (const chunk of await model.stream("Hello")) text += chunk.text;
  assert.equal(text, whole.text);
  assert.ok(whole.usage_metadata.output_tokens > 0);
});

test("agents: a session kept in a conversation", async () => {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const session = new OpenAIConversationsSession({ client });
  await session.addItems([
    { type: "message", role: "user", content: "one" },
    {
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "two" }],
    },
  ]);
  const items = await session.getItems();
  assert.equal(items.length, 2);
  assert.equal((await session.getItems(1)).length, 1);
  const last = await session.popItem();
  assert.equal(last.role, "assistant");
  assert.equal((await session.getItems()).length, 1);
  await session.clearSession();
});

await main();
