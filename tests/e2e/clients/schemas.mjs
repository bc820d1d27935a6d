// schemas.mjs BASE_URL - replies against JSON schemas: the keys that the OpenAI specification
// requires and the types that its clients rely on. More keys than these are allowed everywhere.
import assert from "node:assert/strict";
import Ajv from "ajv";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });

// ---- small words for schemas ----

const object = (properties, optional = {}) => ({
  type: "object",
  properties: { ...properties, ...optional },
  required: Object.keys(properties),
});
const list = (items, more = {}) => ({ type: "array", items, ...more });
const orNull = (schema) => ({ anyOf: [schema, { type: "null" }] });
const is = (value) => ({ const: value });
const text = { type: "string" };
const number = { type: "number" };
const count = { type: "integer", minimum: 0 };
const id = (prefix) => ({ type: "string", pattern: `^${prefix}[A-Za-z0-9_-]{16,}$` });

// ---- what there is ----

const usage = object({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: object({ cached_tokens: count }),
  completion_tokens_details: object({ reasoning_tokens: count }),
});
const session = object({
  id: orNull(text),
  match: { enum: ["new", "append", "rewind", "rebuild", "ephemeral"] },
  window: count,
  sinks: count,
  position: count,
  evicted_tokens: count,
});
const token = {
  token: text,
  logprob: { type: "number", maximum: 0 },
  bytes: orNull(list({ type: "integer", minimum: 0, maximum: 255 })),
};
const logprobs = orNull(
  object({
    content: orNull(list(object({ ...token, top_logprobs: list(object(token)) }))),
    refusal: { type: "null" },
  }),
);
const finish = { enum: ["stop", "length", "tool_calls", "content_filter"] };
const toolCall = object({
  id: id("call_"),
  type: is("function"),
  function: object({ name: { type: "string", pattern: "^[a-zA-Z0-9_-]{1,64}$" }, arguments: text }),
});
const message = object(
  { role: is("assistant"), content: orNull(text), refusal: { type: "null" } },
  {
    annotations: list({}, { maxItems: 0 }),
    tool_calls: list(toolCall, { minItems: 1 }),
    reasoning_content: text,
  },
);

const head = { created: count, model: text, system_fingerprint: text };
const end = { usage, session };
const schemas = {
  chat: object({
    ...{ id: id("chatcmpl-"), object: is("chat.completion"), ...head, ...end },
    choices: list(object({ index: count, message, logprobs, finish_reason: finish }), {
      minItems: 1,
    }),
  }),
  chunk: object({
    ...{ id: id("chatcmpl-"), object: is("chat.completion.chunk"), ...head },
    choices: list(
      object({
        index: count,
        delta: object(
          {},
          {
            role: is("assistant"),
            content: orNull(text),
            reasoning_content: text,
            tool_calls: list(object({ index: count })),
          },
        ),
        logprobs,
        finish_reason: orNull(finish),
      }),
    ),
  }),
  completion: object({
    ...{ id: id("cmpl-"), object: is("text_completion"), ...head, ...end },
    choices: list(
      object({ index: count, text, logprobs: orNull(object({})), finish_reason: finish }),
      { minItems: 1 },
    ),
  }),
  models: object({
    object: is("list"),
    data: list(object({ id: text, object: is("model"), created: count, owned_by: text }), {
      minItems: 1,
    }),
  }),
  error: object({
    error: object({ message: text, type: text, param: orNull(text), code: orNull(text) }),
  }),
};

function check(name, value) {
  const validate = ajv.compile(schemas[name]);
  assert.ok(
    validate(value),
    `${name}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`,
  );
}

// ---- what comes ----

async function call(path, body, method = body ? "POST" : "GET") {
  const response = await fetch(base + path, {
    ...{ method, body: body && JSON.stringify(body) },
    headers: { "Content-Type": "application/json" },
  });
  return {
    status: response.status,
    type: response.headers.get("Content-Type"),
    text: await response.text(),
  };
}

async function json(path, body, status = 200) {
  const reply = await call(path, body);
  assert.equal(reply.status, status, reply.text);
  assert.match(reply.type, /^application\/json/);
  return JSON.parse(reply.text);
}

const chat = { messages: [{ role: "user", content: "Hello" }], max_tokens: 8, ignore_eos: true };

test("a chat, whole and in chunks", async () => {
  check("chat", await json("v1/chat/completions", chat));
  const { text: stream } = await call("v1/chat/completions", { ...chat, stream: true });
  const chunks = stream.match(/^data: \{.*$/gm).map((line) => JSON.parse(line.slice(6)));
  assert.ok(chunks.length > 3);
  for (const chunk of chunks) check("chunk", chunk);
});

test("log probabilities and several answers", async () => {
  const asked = { ...chat, logprobs: true, top_logprobs: 2, n: 2 };
  const reply = await json("v1/chat/completions", asked);
  check("chat", reply);
  assert.ok(reply.choices.every((choice) => choice.logprobs.content.length === 8));
  const { text: stream } = await call("v1/chat/completions", { ...asked, stream: true });
  for (const line of stream.match(/^data: \{.*$/gm)) check("chunk", JSON.parse(line.slice(6)));
});

test("a completion", async () => {
  check("completion", await json("v1/completions", { prompt: "Once", max_tokens: 4 }));
});

test("the models", async () => {
  check("models", await json("v1/models"));
});

test("errors, whatever the fault", async () => {
  check("error", await json("v1/chat/completions", {}, 400));
  check("error", await json("v1/chat/completions", { ...chat, max_tokens: "x" }, 400));
  check("error", await json("v1/models/nobody", undefined, 404));
  check("error", await json("v1/nothing", undefined, 404));
  check("error", await json("v1/chat/completions", undefined, 405));
});

await main();
