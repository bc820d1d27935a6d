// openai_client.mjs BASE_URL - talks to the daemon through the official client and prints what it
// understood as one JSON object; test_openai_client.py judges it.
import OpenAI from "openai-6";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const request = {
  model: "default",
  messages: [{ role: "user", content: "Hello" }],
  max_tokens: 12,
  temperature: 0,
  ignore_eos: true,
};

const seen = {};

seen.models = (await client.models.list()).data.map((model) => model.id);
seen.whole = (await client.chat.completions.create(request)).choices[0].message.content;

seen.chunks = [];
for await (const chunk of await client.chat.completions.create({ ...request, stream: true }))
  seen.chunks.push(chunk.choices[0]?.delta?.content ?? "");

// The helper is the strict parser: it throws where a chunk breaks a rule of the protocol.
seen.helper = await client.chat.completions.stream(request).finalContent();

seen.completion = (
  await client.completions.create({ model: "default", prompt: "Once", max_tokens: 4, temperature: 0 })
).object;

try {
  await client.chat.completions.create({ ...request, temperature: -1 });
} catch (error) {
  seen.error = { type: error.constructor.name, status: error.status, param: error.param };
}

// Leaving in the middle must be no error for either side.
const long = await client.chat.completions.create({ ...request, max_tokens: 1000000, stream: true });
for await (const chunk of long) {
  seen.left_after = chunk.id;
  break;
}

console.log(JSON.stringify(seen));
