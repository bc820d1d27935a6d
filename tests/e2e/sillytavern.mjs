// sillytavern.mjs SILLYTAVERN_URL BASE_URL - a chat front end's own server drives the daemon as its
// page would; sillytavern.py judges what it prints.
import assert from "node:assert/strict";
import { main, test } from "./cases.mjs";

const [front, base] = process.argv.slice(2);

// ---- the front end's API, which wants a cookie and a token ----

const cookies = [];
const { token } = await (async () => {
  const response = await fetch(`${front}csrf-token`);
  for (const cookie of response.headers.getSetCookie()) cookies.push(cookie.split(";")[0]);
  return response.json();
})();

function post(path, body, signal) {
  return fetch(`${front}api/backends/chat-completions/${path}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-CSRF-Token": token,
      Cookie: cookies.join("; "),
    },
    body: JSON.stringify({ chat_completion_source: "custom", custom_url: `${base}v1`, ...body }),
    signal,
  });
}

let n_chats = 0;

// A chat as SillyTavern sends it: the whole history each time, all of its sampling settings.
class Chat {
  constructor() {
    this.id = `tavern-${++n_chats}`;
    this.messages = [{ role: "system", content: "Write the next reply in this fictional chat." }];
  }
  body(more) {
    return {
      messages: this.messages,
      ...{ model: "default", temperature: 0, max_tokens: 12, stream: false, presence_penalty: 0 },
      ...{ frequency_penalty: 0, top_p: 1, top_k: 0, seed: 7, n: 1, logit_bias: {} },
      custom_include_headers: `X-Session-Id: ${this.id}`,
      custom_include_body: "ignore_eos: true",
      ...more,
    };
  }
  async generate(more) {
    const response = await post("generate", this.body(more));
    const reply = await response.json();
    assert.ok(!reply.error, JSON.stringify(reply));
    return { text: reply.choices[0].message.content, session: reply.session, usage: reply.usage };
  }
  async say(content) {
    this.messages.push({ role: "user", content });
    const reply = await this.generate();
    this.messages.push({ role: "assistant", content: reply.text });
    return reply;
  }
}

test("the connection test finds the model", async () => {
  const { data } = await (await post("status", {})).json();
  assert.equal(data.length, 1);
});

test("a chat goes on at the cost of what is new", async () => {
  const chat = new Chat();
  assert.equal((await chat.say("Hello")).session.match, "new");
  const second = await chat.say("And then?");
  assert.equal(second.session.match, "append");
  assert.equal(second.session.id, chat.id);
  assert.ok(second.usage.prompt_tokens_details.cached_tokens > 0);
});

test("a stream comes through as it is", async () => {
  const chat = new Chat();
  chat.messages.push({ role: "user", content: "Hello" });
  const { text } = await chat.generate();
  const response = await post("generate", chat.body({ stream: true }));
  const raw = await response.text();
  const chunks = raw.match(/^data: \{.*$/gm).map((line) => JSON.parse(line.slice(6)));
  assert.match(raw, /data: \[DONE\]\n\n$/);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""), text);
});

test("a swipe answers the same message anew", async () => {
  const chat = new Chat();
  await chat.say("Hello");
  await chat.say("Tell me more");
  chat.messages.pop();
  const again = await chat.generate({ temperature: 1, seed: 8 });
  assert.equal(again.session.match, "rewind");
  assert.ok(again.usage.prompt_tokens_details.cached_tokens > 0);
});

test("an edit of an earlier message is read", async () => {
  const chat = new Chat();
  await chat.say("Hello");
  const before = await chat.say("What did I say?");
  chat.messages = [
    chat.messages[0],
    { role: "user", content: "Good evening to you all" },
    ...chat.messages.slice(2, 4),
  ];
  const after = await chat.generate();
  assert.ok(["rewind", "rebuild"].includes(after.session.match), after.session.match);
  assert.notEqual(after.usage.prompt_tokens, before.usage.prompt_tokens);
});

test("continue speaks on in the last answer", async () => {
  const chat = new Chat();
  const { text, session } = await chat.say("Hello");
  const more = await chat.generate();
  assert.equal(more.session.id, session.id);
  assert.notEqual(more.session.match, "new");
  const whole = new Chat();
  whole.messages.push({ role: "user", content: "Hello" });
  assert.equal((await whole.generate({ max_tokens: 24 })).text, text + more.text);
});

test("a history that was trimmed in front goes on", async () => {
  const chat = new Chat();
  for (const text of ["One", "Two", "Three"]) await chat.say(text);
  chat.messages.splice(1, 2);
  const after = await chat.say("Four");
  assert.equal(after.session.match, "append");
});

test("messages of the system in the middle are rendered where they are", async () => {
  const chat = new Chat();
  await chat.say("Hello");
  chat.messages.push({ role: "system", content: "[The weather changes.]" });
  assert.equal((await chat.say("And now?")).session.match, "append");
});

test("an unrelated request with the same id leaves the chat alone", async () => {
  const chat = new Chat();
  await chat.say("Hello");
  const side = new Chat();
  side.id = chat.id;
  side.messages = [{ role: "user", content: "### Task: give this chat a title" }];
  assert.equal((await side.generate()).session.match, "ephemeral");
  assert.equal((await chat.say("Go on")).session.match, "append");
});

test("leaving ends the answer", async () => {
  const chat = new Chat();
  chat.messages.push({ role: "user", content: "Hello" });
  const controller = new AbortController();
  const response = await post(
    "generate",
    chat.body({ stream: true, max_tokens: 1_000_000 }),
    controller.signal,
  );
  await response.body.getReader().read();
  controller.abort();
  for (;;) {
    const metrics = await (await fetch(`${base}metrics`)).text();
    if (/^sinkd_generations_open 0$/m.test(metrics)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test("an error reaches the user in words", async () => {
  const chat = new Chat();
  chat.messages.push({ role: "user", content: "Hello" });
  // Without a stream the front end keeps but the status's own name, "Bad Request".
  const response = await post("generate", chat.body({ temperature: 9, stream: true }));
  assert.match((await response.json()).error.message, /'temperature'/);
});

await main();
