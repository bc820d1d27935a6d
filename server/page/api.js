// ---- api: the public API of the daemon, and nothing else ----

class ApiError extends Error {
  constructor(message, status, retryAfterS) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

const apiKey = {
  get: () => preferences.get("key", "sessionStorage") ?? preferences.get("key"),
  set(key, isToStay) {
    preferences.set("key", isToStay ? null : key, "sessionStorage");
    preferences.set("key", isToStay ? key : null);
  },
};

async function errorOf(response) {
  let message = `The server answered ${response.status} ${response.statusText}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    /* a proxy's page, not our JSON */
  }
  return new ApiError(message, response.status, Number(response.headers.get("Retry-After")) || 0);
}

// Paths are relative, so that the page works below any path of a proxy.
async function call(path, { method, body, headers, signal } = {}) {
  const key = apiKey.get();
  let response;
  try {
    response = await fetch(path, {
      method: method ?? (body ? "POST" : "GET"),
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(key && { Authorization: `Bearer ${key}` }),
        ...headers,
      },
      body: body && JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The server cannot be reached.", 0, 0);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

// The payloads of the `data:` lines of a stream, up to [DONE].
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

const SETTINGS = {
  temperature: { min: 0, max: 2, step: 0.05 },
  top_p: { min: 0, max: 1, step: 0.01 },
  top_k: { min: 0, max: 1000, step: 1 },
  min_p: { min: 0, max: 1, step: 0.01 },
  repeat_penalty: { min: 0.01, max: 100, step: 0.01 },
  max_tokens: { min: 1, max: 1073741824, step: 1 },
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
};

// Only what is known and in range; what is left out is the server's to choose.
function readSettings(value) {
  const settings = { system: String(value?.system ?? "") };
  for (const [name, { min, max }] of Object.entries(SETTINGS)) {
    const number = value?.[name];
    if (typeof number === "number" && number >= min && number <= max) settings[name] = number;
  }
  return settings;
}

// { window, sinks, position, evicted_tokens } in tokens, or null.
function readSession(value) {
  const names = ["window", "sinks", "position", "evicted_tokens"];
  if (!names.every((name) => Number.isSafeInteger(value?.[name]) && value[name] >= 0)) return null;
  return Object.fromEntries(names.map((name) => [name, value[name]]));
}

// What streamAnswer resolves to, from a file.
function readReply(value) {
  const names = ["firstMs", "perSecond", "tokens", "promptTokens", "cachedTokens"];
  const numbers = names.filter((name) => Number.isFinite(value[name]));
  return {
    ...Object.fromEntries(numbers.map((name) => [name, value[name]])),
    finish: String(value.finish ?? "stop"),
    session: readSession(value.session),
  };
}

function bodyOf(chat, messages) {
  const { system, ...sampling } = chat.settings;
  return {
    model: "default",
    messages: [
      ...(system ? [{ role: "system", content: system }] : []),
      ...messages.map(({ role, text }) => ({ role, content: text })),
    ],
    stream: true,
    stream_options: { include_usage: true },
    ...sampling,
  };
}

// Streams one answer. Calls onText(text, thinking) with each piece; resolves to what the server
// said of the whole, or throws. `messages` may end with an answer that is to be spoken on.
async function streamAnswer(chat, messages, { signal, onText }) {
  const begin = performance.now();
  const response = await call("v1/chat/completions", {
    body: bodyOf(chat, messages),
    headers: { "X-Conversation-Id": chat.id },
    signal,
  });
  const reply = {};
  let id;
  // Who has stopped an answer does not come back for it.
  signal?.addEventListener("abort", () => {
    if (id) call(`v1/chat/completions/${id}`, { method: "DELETE" }).catch(() => {});
  });
  for await (const chunk of eventsOf(response)) {
    id ??= chunk.id;
    if (chunk.error) throw new ApiError(chunk.error.message, 200, 0);
    const choice = chunk.choices?.[0];
    const text = choice?.delta?.content ?? "";
    const thinking = choice?.delta?.reasoning_content ?? "";
    if (text || thinking) {
      reply.firstMs ??= performance.now() - begin;
      onText(text, thinking);
    }
    if (choice?.finish_reason) reply.finish = choice.finish_reason;
    if (chunk.session) reply.session = readSession(chunk.session);
    if (chunk.timings) reply.perSecond = chunk.timings.predicted_per_second;
    if (chunk.usage) {
      reply.tokens = chunk.usage.completion_tokens;
      reply.promptTokens = chunk.usage.prompt_tokens;
      reply.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens;
    }
  }
  if (!reply.finish) throw new ApiError("The connection ended in the middle of the answer.", 0, 0);
  return reply;
}

// The model that is loaded, and what the server does where a chat's settings say nothing.
async function fetchModel() {
  const { model_alias, window, sinks, default_generation_settings } = await (
    await call("props")
  ).json();
  const { n_predict, ...sampling } = default_generation_settings?.params ?? {};
  return { name: model_alias, window, sinks, defaults: { ...sampling, max_tokens: n_predict } };
}
