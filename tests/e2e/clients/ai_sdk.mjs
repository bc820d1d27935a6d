// ai_sdk.mjs BASE_URL - the AI SDK, through both of its OpenAI providers.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const baseURL = `${base}v1`;
const providers = {
  compatible: createOpenAICompatible({
    name: "sinkd",
    baseURL,
    apiKey: "none",
    includeUsage: true,
  })("default"),
  openai: createOpenAI({ baseURL, apiKey: "none" }).chat("default"),
  "openai as a reasoning model": createOpenAI({ baseURL, apiKey: "none" }).chat("gpt-5-local"),
};
const request = { prompt: "Hello", maxOutputTokens: 12, maxRetries: 0 };

for (const [name, model] of Object.entries(providers)) {
  test(`${name}: a text, whole`, async () => {
    const { text, finishReason, usage } = await generateText({
      ...request,
      model,
      system: "Be brief.",
    });
    assert.ok(text.length > 0 || finishReason === "stop");
    assert.ok(["length", "stop"].includes(finishReason), finishReason);
    assert.ok(usage.inputTokens > 0);
    assert.ok(usage.outputTokens <= 12);
  });

  test(`${name}: a text, streamed`, async () => {
    const parts = [];
    const stream = streamText({
      ...request,
      model,
      onError: ({ error }) => {
        throw error;
      },
    });
    for await (const part of stream.fullStream) parts.push(part.type);
    assert.equal(parts[0], "start");
    assert.equal(parts.at(-1), "finish");
    assert.ok(!parts.includes("error"), parts.join(" "));
    assert.ok(["length", "stop"].includes(await stream.finishReason));
    assert.ok((await stream.usage).inputTokens > 0);
  });

  test(`${name}: a refusal`, async () => {
    const asked = generateText({
      ...request,
      model,
      prompt: undefined,
      messages: [
        {
          role: "user",
          content: [{ type: "image", image: new URL("data:image/png;base64,iVBORw0KGgo=") }],
        },
      ],
    });
    await assert.rejects(asked, (error) => {
      assert.equal(error.statusCode, 400);
      assert.equal(error.isRetryable, false);
      assert.match(error.message, /only text is/);
      return true;
    });
  });

  test(`${name}: leaving in the middle`, async () => {
    const controller = new AbortController();
    const parts = [];
    const stream = streamText({
      ...request,
      model,
      maxOutputTokens: 100_000,
      abortSignal: controller.signal,
    });
    for await (const part of stream.fullStream) {
      parts.push(part.type);
      if (part.type === "text-delta") controller.abort();
    }
    assert.ok(["abort", "finish"].includes(parts.at(-1)), parts.at(-1));
  });
}

await main();
