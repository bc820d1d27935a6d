// langchain.mjs BASE_URL - LangChain's chat model.
import assert from "node:assert/strict";
import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const model = new ChatOpenAI({
  model: "default",
  apiKey: "none",
  temperature: 0,
  maxTokens: 12,
  maxRetries: 0,
  configuration: { baseURL: `${base}v1` },
  modelKwargs: { ignore_eos: true },
});
const whole = (await model.invoke("Hello")).content;

test("an answer, whole", async () => {
  const message = await model.invoke([new SystemMessage("Be brief."), new HumanMessage("Hello")]);
  assert.ok(message.content.length > 0);
  assert.equal(message.response_metadata.finish_reason, "length");
  assert.equal(message.usage_metadata.output_tokens, 12);
});

test("an answer, streamed", async () => {
  let all;
  for await (const chunk of await model.stream("Hello")) all = all ? all.concat(chunk) : chunk;
  assert.equal(all.content, whole);
  assert.equal(all.usage_metadata.output_tokens, 12);
});

test("a history", async () => {
  const message = await model.invoke([
    new HumanMessage("Hello"),
    new AIMessage(whole),
    new HumanMessage("And then?"),
  ]);
  assert.ok(message.content.length > 0);
  assert.ok(message.usage_metadata.input_token_details.cache_read > 0);
});

test("a batch", async () => {
  const answers = await model.batch(["Hello", "Hello", "Hello"]);
  assert.deepEqual(
    answers.map(({ content }) => content),
    [whole, whole, whole],
  );
});

await main();
