// replies.mjs - one reply and stream event of every kind, as they are on the wire.
//
// collect(BASE_URL) returns a list of { method, path, status, isEvent, type, value }: `type` is what the
// official client calls it, `value` the JSON.

let base;
const seen = [];

async function call(method, path, body, type) {
  const response = await fetch(base + path, {
    ...{ method, body: body && JSON.stringify(body) },
    headers: { "Content-Type": "application/json" },
  });
  const text = await response.text();
  const reply = { method, path, status: response.status };
  if (response.headers.get("Content-Type").startsWith("text/event-stream")) {
    const events = text.match(/^data: \{.*$/gm).map((line) => JSON.parse(line.slice(6)));
    seen.push(...events.map((value) => ({ ...reply, isEvent: true, type, value })));
    return events;
  }
  const value = JSON.parse(text);
  const isError = Boolean(value.error?.message);
  const name = isError ? "{ error: OpenAI.ErrorObject }" : type;
  seen.push({ ...reply, isEvent: false, type: name, value });
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

export async function collect(url) {
  base = url;
  await Promise.all([chats(), completions(), models(), responses(), conversations()]);
  return seen;
}
