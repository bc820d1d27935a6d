// types.mjs BASE_URL - every kind of reply and stream event, as it is on the wire, against the types of
// the official client in both major versions: the TypeScript compiler must agree to each.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { main, test } from "../cases.mjs";

const [base] = process.argv.slice(2);
const seen = []; // [type, value]

async function call(method, path, body, type) {
  const response = await fetch(base + path, {
    ...{ method, body: body && JSON.stringify(body) },
    headers: { "Content-Type": "application/json" },
  });
  const text = await response.text();
  if (response.headers.get("Content-Type").startsWith("text/event-stream")) {
    const events = text.match(/^data: \{.*$/gm).map((line) => JSON.parse(line.slice(6)));
    seen.push(...events.map((event) => [type, event]));
    return events;
  }
  const value = JSON.parse(text);
  seen.push([value.error?.message ? "{ error: OpenAI.ErrorObject }" : type, value]);
  return value;
}
const get = (path, type) => call("GET", path, undefined, type);
const post = (path, body, type) => call("POST", path, body, type);
const remove = (path, type) => call("DELETE", path, undefined, type);

const parameters = {
  type: "object",
  properties: { city: { enum: ["Paris", "Rome"] } },
  required: ["city"],
  additionalProperties: false,
};
const list = (item) => `{ object: "list"; data: ${item}[]; has_more: boolean; first_id: string | null; last_id: string | null }`;

const EVENTS = [
  ...["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"],
  ...["output_text.done", "content_part.done", "output_item.done", "completed", "incomplete"],
  ...["function_call_arguments.delta", "function_call_arguments.done"],
];

async function chats() {
  const path = "v1/chat/completions";
  const ask = async (fields) => {
    const body = { messages: [{ role: "user", content: "Hello" }], max_tokens: 6, ...fields };
    await post(path, body, "OpenAI.Chat.Completions.ChatCompletion");
    await post(path, { ...body, stream: true }, "OpenAI.Chat.Completions.ChatCompletionChunk");
  };
  await ask({ stream_options: { include_usage: true } });
  await ask({ logprobs: true, top_logprobs: 2, n: 2 });
  await ask({ response_format: { type: "json_object" } });
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  await ask({ tools, tool_choice: "required", max_tokens: 100 });
  await ask({ max_tokens: "many" });
}

async function completions() {
  const body = { prompt: "Once", max_tokens: 4, logprobs: 2, echo: false };
  await post("v1/completions", body, "OpenAI.Completion");
  const stream_options = { include_usage: true };
  await post("v1/completions", { ...body, stream: true, stream_options }, "CompletionChunk");
}

async function models() {
  const { data } = await get("v1/models", '{ object: "list"; data: OpenAI.Model[] }');
  await get(`v1/models/${data[0].id}`, "OpenAI.Model");
  await get("v1/models/nobody", "never");
}

async function responses() {
  const whole = "OpenAI.Responses.Response";
  const event = "OpenAI.Responses.ResponseStreamEvent";
  const ask = async (fields) => {
    const body = { model: "default", input: "Hello", max_output_tokens: 6, ...fields };
    await post("v1/responses", { ...body, stream: true }, event);
    return post("v1/responses", body, whole);
  };
  const { id } = await ask({ include: ["message.output_text.logprobs"], top_logprobs: 1 });
  await ask({ previous_response_id: id, instructions: "Be brief.", metadata: { a: "b" } });
  await ask({ text: { format: { type: "json_schema", name: "n", schema: parameters } } });
  const tools = [{ type: "function", name: "weather", parameters, strict: true }];
  await ask({ tools, tool_choice: "required", max_output_tokens: 100 });
  await ask({ input: 5 });
  await get(`v1/responses/${id}`, whole);
  await get(`v1/responses/${id}/input_items`, list("OpenAI.Responses.ResponseItem"));
  const far = { input: "Hello", max_output_tokens: 1_000_000, background: true };
  const background = await post("v1/responses", far, whole);
  await post(`v1/responses/${background.id}/cancel`, {}, whole);
  const count = "OpenAI.Responses.InputTokenCountResponse";
  await post("v1/responses/input_tokens", { input: "Hello" }, count);
}

async function conversations() {
  const object = "OpenAI.Conversations.Conversation";
  const item = "OpenAI.Conversations.ConversationItem";
  const items = [
    { role: "user", content: "Hello" },
    { type: "function_call", call_id: "call_1", name: "weather", arguments: "{}" },
    { type: "function_call_output", call_id: "call_1", output: "sunny" },
  ];
  const { id } = await post("v1/conversations", { metadata: { a: "b" } }, object);
  const path = `v1/conversations/${id}`;
  const added = await post(`${path}/items`, { items }, "OpenAI.Conversations.ConversationItemList");
  await post("v1/responses", { input: "Hello", max_output_tokens: 4, conversation: id }, "OpenAI.Responses.Response");
  await get(path, object);
  await post(path, { metadata: {} }, object);
  await get(`${path}/items`, "OpenAI.Conversations.ConversationItemList");
  await get(`${path}/items/${added.data[0].id}`, item);
  await remove(`${path}/items/${added.data[0].id}`, object);
  await remove(path, "OpenAI.Conversations.ConversationDeletedResource");
}

// A value of the type, as JSON brings it: `output_text` is what the client adds itself, and what may be
// absent may be null, as it is in OpenAI's own replies.
const WIRE = `
type OrNull<T, K extends keyof T> = {} extends Pick<T, K> ? null : never;
type Wire<T> = T extends readonly (infer U)[] ? readonly Wire<U>[]
  : T extends object ? {
      readonly [K in keyof T as K extends "output_text" ? never : K]: Wire<T[K]> | OrNull<T, K>;
    }
  : T;
type CompletionChunk = Omit<OpenAI.Completion, "choices"> & {
  choices: (Omit<OpenAI.CompletionChoice, "finish_reason"> & {
    finish_reason: OpenAI.CompletionChoice["finish_reason"] | null;
  })[];
};
`;

// Through a variable: more keys than the type has are then no error.
function program(name) {
  const lines = seen.map(([type, value], i) => {
    const text = JSON.stringify(value);
    return `const v${i} = ${text} as const;\nexport const t${i}: Wire<${type}> = v${i};`;
  });
  return `import type OpenAI from "${name}";\n${WIRE}${lines.join("\n")}\n`;
}

const compilerOptions = {
  ...{ noEmit: true, strict: true, skipLibCheck: true, types: [] },
  ...{ module: "nodenext", target: "es2022", lib: ["es2022", "dom"] },
};

test("replies of every kind are there", async () => {
  await Promise.all([chats(), completions(), models(), responses(), conversations()]);
  const kinds = new Set(seen.map(([, value]) => value.type));
  for (const kind of EVENTS) assert.ok(kinds.has(`response.${kind}`), kind);
  assert.ok(seen.filter(([type]) => type.includes("ErrorObject")).length >= 4);
});

test("they are what both versions say", async () => {
  const folder = await mkdtemp("types-"); // in here, where packages are found
  const files = ["openai", "openai-6"].map((name) => `${name}.ts`);
  try {
    for (const file of files) await writeFile(`${folder}/${file}`, program(file.slice(0, -3)));
    await writeFile(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions, files }));
    const tsc = ["node_modules/typescript/bin/tsc", "--project", folder];
    await promisify(execFile)(process.execPath, tsc, { maxBuffer: 1 << 26 });
  } catch (error) {
    assert.fail(error.stdout?.slice(0, 6000) || error);
  } finally {
    await rm(folder, { recursive: true });
  }
});

await main();
