// tools_client.mjs BASE_URL - calls tools, asks for several answers and for log probabilities through
// the official client, and prints what it understood as one JSON object; test_tools.py judges it.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const parameters = {
  type: "object",
  properties: { unit: { enum: ["C", "F"] }, today: { type: "boolean" } },
  required: ["unit", "today"],
  additionalProperties: false,
};
const tools = ["weather", "forecast"].map((name) => ({
  type: "function",
  function: { name, description: "Tells it.", parameters },
}));
const request = {
  model: "default",
  messages: [{ role: "user", content: "Is it warm?" }],
  tools,
  max_tokens: 200,
  temperature: 0,
};
const named = { type: "function", function: { name: "forecast" } };
const seen = {};

const whole = await client.chat.completions.create({ ...request, tool_choice: named });
seen.whole = whole.choices[0];

// The helper is the strict parser: it throws where a chunk breaks a rule of the protocol.
const stream = client.chat.completions.stream({ ...request, tool_choice: "required" });
seen.deltas = [];
stream.on("chunk", (chunk) => {
  for (const call of chunk.choices[0]?.delta?.tool_calls ?? [])
    seen.deltas.push(call);
});
seen.streamed = (await stream.finalChatCompletion()).choices[0];

// The result goes back; the client writes the call in its own way.
const call = seen.whole.message.tool_calls[0];
call.function.arguments = JSON.stringify(JSON.parse(call.function.arguments));
const result = await client.chat.completions.create({
  ...request,
  messages: [
    ...request.messages,
    seen.whole.message,
    { role: "tool", tool_call_id: call.id, content: "20 degrees" },
  ],
  tool_choice: "auto",
  max_tokens: 5,
  ignore_eos: true,
});
seen.result = result.choices[0];
seen.match = result.session.match;

const ran = [];
const runner = client.chat.completions.runTools({
  ...request,
  tool_choice: named,
  tools: [
    {
      type: "function",
      function: {
        name: "forecast",
        parse: JSON.parse,
        function: (args) => (ran.push(args), "sunny"),
        parameters,
      },
    },
  ],
});
await runner.done();
seen.ran = ran;

const many = await client.chat.completions.create({
  model: "default",
  messages: request.messages,
  n: 3,
  seed: 1,
  logprobs: true,
  top_logprobs: 2,
  stop: ["\n"],
  max_tokens: 6,
});
seen.many = many.choices;
seen.usage = many.usage;

console.log(JSON.stringify(seen));
