// ---- app: one chat at a time on the screen, any number of them answering ----

const state = {
  store: null,
  chats: [], // newest first
  chat: null, // the one shown; not in the store before its first message
  messages: new Map(), // of that chat, by id
  path: [], // the messages shown
  articles: new Map(), // their elements, by id
  opening: null, // the chat whose messages are being read
  runs: new Map(), // { controller, message, messages, growing } by chat id
  model: null,
  isFollowing: true, // the end of the text stays in sight
};

const tabs = new BroadcastChannel("sinkd");

function defaultSettings() {
  try {
    return readSettings(JSON.parse(preferences.get("settings")));
  } catch {
    return readSettings(null);
  }
}

function newChat() {
  const settings = defaultSettings();
  const now = Date.now();
  return { id: randomId(), title: "", created: now, updated: now, leaf: 0, nextId: 1, settings };
}

// ---- saving ----

async function saveChat(chat, isActivity = false) {
  if (isActivity) chat.updated = Date.now();
  if (!state.chats.includes(chat)) state.chats.push(chat);
  state.chats.sort((a, b) => b.updated - a.updated);
  refreshChats();
  await keep(() => state.store.putChat(chat));
  tabs.postMessage(chat.id);
}

async function keep(write) {
  try {
    await write();
  } catch (error) {
    showNotice(`This browser did not keep the chat: ${error.message}`);
  }
}

// Saving goes on behind: the database keeps the order, and `keep` tells of a failure.
function addMessage(chat, messages, { parent, role, text }) {
  const message = { chat: chat.id, id: chat.nextId++, parent, role, text, at: Date.now() };
  messages.set(message.id, message);
  chat.leaf = message.id;
  keep(() => state.store.putMessage(message));
  saveChat(chat, true);
  return message;
}

// ---- showing ----

const isRunning = (id) => state.runs.has(id);

function refreshChats() {
  showChats(state.chats, state.chat.id, isRunning);
}

function refreshChat() {
  const { chat, model } = state;
  byId("title").textContent = chat.title || "New chat";
  document.title = chat.title ? `${chat.title} · sinkd` : "sinkd";
  byId("model").textContent = model?.name ?? "";
  document.body.classList.toggle("running", isRunning(chat.id));
  byId("send").textContent = isRunning(chat.id) ? "Stop" : "Send";
  byId("send").classList.toggle("stop", isRunning(chat.id));
  showGauge(state.path.findLast(({ reply }) => reply?.session)?.reply.session ?? model);
  showHorizon(state.path, state.articles);
}

function follow() {
  if (state.isFollowing) byId("scroll").scrollTop = byId("scroll").scrollHeight;
}

function drawMessage(message, family) {
  const article = messageArticle(message);
  state.articles.set(message.id, article);
  const run = state.runs.get(state.chat.id);
  if (run?.message === message) {
    run.growing = new GrowingAnswer(article, follow);
    run.growing.update(message, "");
  } else {
    fillMessage(article, message, family.get(message.parent));
  }
  return article;
}

const N_AT_ONCE = 40;
const N_LATER = 100;

// Brings the screen to the chat's current branch: what it shares with the one before stays. Of a
// long chat the end comes at once and the rest bit by bit above it.
function showPath() {
  const path = pathTo(state.messages, state.chat.leaf);
  let nSame = 0;
  while (nSame < path.length && path[nSame] === state.path[nSame]) nSame++;
  const giveFocus = holdFocus();
  for (const { id } of state.path.slice(nSame)) {
    state.articles.get(id)?.remove();
    state.articles.delete(id);
  }
  state.path = path;
  const family = familyOf(state.messages);
  const end = path.slice(Math.max(nSame, path.length - N_AT_ONCE));
  byId("log").append(...end.map((message) => drawMessage(message, family)));
  giveFocus();
  soon(drawEarlier);
  document.querySelector(".empty")?.remove();
  if (path.length === 0) byId("log").append(emptyNote());
  refreshChat();
  follow();
}

// Draws some of the messages that are not drawn yet, the last ones of them.
function drawEarlier() {
  const { path, articles } = state;
  const end = path.findLastIndex(({ id }) => !articles.has(id)) + 1;
  if (end === 0) return;
  let begin = end - 1;
  while (begin > 0 && end - begin < N_LATER && !articles.has(path[begin - 1].id)) begin--;
  const family = familyOf(state.messages);
  const later = articles.get(path[end].id);
  later.before(...path.slice(begin, end).map((message) => drawMessage(message, family)));
  showHorizon(path, articles);
  follow();
  soon(drawEarlier);
}

const soon = (work) => (window.requestIdleCallback ?? setTimeout)(work);

function emptyNote() {
  const text =
    "A chat here never runs out of room: memory and speed stay flat however long it gets. " +
    "What rolls out of the window is forgotten, and the gauge says so.";
  return element(
    "div",
    { className: "empty" },
    element("h2", { textContent: "What is on your mind?" }),
    element("p", { textContent: text }),
  );
}

async function openChat(chat) {
  state.opening = chat;
  const messages = state.runs.get(chat.id)?.messages ?? (await loadMessages(chat));
  if (state.opening !== chat) return; // another one was asked for meanwhile
  location.hash = chat.id;
  showChat(chat, messages);
}

async function loadMessages({ id }) {
  return new Map((await state.store.messages(id)).map((message) => [message.id, message]));
}

function startChat() {
  state.opening = null;
  history.pushState(null, "", location.pathname + location.search);
  showChat(newChat(), new Map());
  byId("input").focus();
}

function showChat(chat, messages) {
  state.runs.get(state.chat?.id)?.growing?.end();
  state.chat = chat;
  state.messages = messages;
  state.path = [];
  state.articles.clear();
  state.isFollowing = true;
  const giveFocus = holdFocus();
  byId("log").replaceChildren();
  byId("latest").hidden = true;
  document.body.classList.remove("side-open");
  showPath();
  giveFocus();
  refreshChats();
}

// ---- answering ----

const MAX_TRIES = 6;
const SAVE_MS = 2000;
const BUSY = [409, 429, 503];

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)));
  });

// Tries again where the server asks for that, and asks the user for a key where it wants one.
async function persist(attempt, { signal, onBusy } = {}) {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted || tries === MAX_TRIES) throw error;
      if (error.status === 401) {
        if (!(await askKey())) throw error;
      } else if (BUSY.includes(error.status) && onBusy) {
        const seconds = Math.min(error.retryAfterS || 1, 30);
        onBusy(`The server is busy; trying again in ${seconds} s.`);
        await pause(seconds, signal);
      } else {
        throw error;
      }
    }
  }
}

function watchAnswer(run) {
  const { message } = run;
  const begin = performance.now();
  let first = 0;
  let saved = begin;
  let n = 0;
  return (text, thinking) => {
    const now = performance.now();
    first ||= now;
    n++;
    message.text += text;
    if (thinking) message.thinking = (message.thinking ?? "") + thinking;
    const speed = n > 1 ? `${(((n - 1) * 1000) / (now - first)).toFixed(1)} tokens/s · ` : "";
    run.growing?.update(
      message,
      `${speed}first token after ${((first - begin) / 1000).toFixed(2)} s`,
    );
    if (now - saved > SAVE_MS) {
      saved = now;
      keep(() => state.store.putMessage(message));
    }
  };
}

// Lets the model speak into `message`, an answer that is empty or is to be spoken on.
async function answer(chat, messages, message) {
  const run = { controller: new AbortController(), message, messages, growing: null };
  const { signal } = run.controller;
  state.runs.set(chat.id, run);
  delete message.error;
  delete message.reply;
  state.isFollowing = true;
  if (state.chat === chat) showPath();
  redraw(chat, message);
  say("The assistant is answering.");
  try {
    const said = pathTo(messages, message.id).filter(({ text }) => text);
    const onText = watchAnswer(run);
    const onBusy = (text) => run.growing?.update(message, text);
    const attempt = () => streamAnswer(chat, said, { signal, onText });
    message.reply = await persist(attempt, { signal, onBusy });
  } catch (error) {
    if (signal.aborted) message.reply = { finish: "stopped" };
    else message.error = error.message;
  }
  run.growing?.end();
  state.runs.delete(chat.id);
  redraw(chat, message);
  say(message.error ?? `Answer: ${message.text.slice(0, 2000)}`);
  if (!message.error && !state.model) connect(); // it was down when the page came
  if (run.isForgotten) return;
  await keep(() => state.store.putMessage(message));
  await saveChat(chat, true);
}

// Draws one message anew, if it is on the screen.
function redraw(chat, message) {
  if (state.chat !== chat) return;
  const old = state.articles.get(message.id);
  keepFocus(() => old?.replaceWith(drawMessage(message, familyOf(state.messages))));
  refreshChat();
  refreshChats();
  follow();
}

// ---- what the user does ----

function titleOf(text) {
  const line = text.trim().split("\n")[0];
  return line.length > 60 ? `${line.slice(0, 59).trimEnd()}…` : line;
}

function send(text, parent) {
  const { chat, messages } = state;
  if (!text.trim() || isRunning(chat.id)) return;
  chat.title ||= titleOf(text);
  const said = addMessage(chat, messages, { parent, role: "user", text });
  history.replaceState(null, "", `#${chat.id}`);
  answerTo(chat, messages, said.id);
}

function answerTo(chat, messages, parent) {
  if (!isRunning(chat.id))
    answer(chat, messages, addMessage(chat, messages, { parent, role: "assistant", text: "" }));
}

function stop() {
  state.runs.get(state.chat.id)?.controller.abort();
}

async function askKey() {
  const asked = await ask({
    title: "API key",
    text: "This server asks for an API key.",
    ...{ value: apiKey.get() ?? "", ok: "Use this key", isSecret: true, canStay: true },
  });
  if (asked) apiKey.set(asked.value.trim() || null, asked.isToStay);
  return asked !== null;
}

async function showBranch(message, step) {
  const siblings = childrenOf(state.messages, message.parent);
  const next = siblings[siblings.indexOf(message) + step];
  if (!next || isRunning(state.chat.id)) return;
  state.chat.leaf = newestLeaf(state.messages, next.id);
  state.isFollowing = false;
  await saveChat(state.chat);
  showPath();
  state.articles
    .get(next.id)
    ?.querySelector(`[data-action=${step < 0 ? "previous" : "next"}]`)
    ?.focus();
}

function edit(message) {
  const article = state.articles.get(message.id);
  const field = element("textarea", { value: message.text, "aria-label": "Edit your message" });
  const button = (action, label, className) =>
    element("button", { type: "button", textContent: label, className, "data-action": action });
  const menu = element(
    "menu",
    {},
    button("edit-cancel", "Cancel", ""),
    button("edit-send", "Send", "primary"),
  );
  article.replaceChildren(element("div", { className: "edit" }, field, menu));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") endEdit(message);
    else if (isSendKey(event)) sendEdit(message, field.value);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  field.focus();
}

function endEdit(message) {
  redraw(state.chat, message);
  state.articles.get(message.id)?.querySelector("[data-action=edit]")?.focus();
}

function sendEdit(message, text) {
  if (text.trim() === message.text.trim()) endEdit(message);
  else send(text, message.parent);
  byId("input").focus();
}

const messageActions = {
  copy: (message) => copyText(message.text),
  edit,
  "edit-cancel": endEdit,
  "edit-send": (message, button) => sendEdit(message, button.closest(".edit").firstChild.value),
  previous: (message) => showBranch(message, -1),
  next: (message) => showBranch(message, 1),
  regenerate: (message) => answerTo(state.chat, state.messages, message.parent),
  continue: (message) => isRunning(state.chat.id) || answer(state.chat, state.messages, message),
};

const chatActions = {
  async rename(chat) {
    const asked = await ask({ title: "Rename this chat", value: chat.title, ok: "Rename" });
    if (!asked?.value.trim()) return;
    chat.title = asked.value.trim();
    await saveChat(chat);
    refreshChat();
  },
  async delete(chat) {
    const text = `“${chat.title}” will be removed from this browser.`;
    if (!(await ask({ title: "Delete this chat?", text, ok: "Delete" }))) return;
    const run = state.runs.get(chat.id);
    if (run) run.isForgotten = true;
    run?.controller.abort();
    state.chats = state.chats.filter((other) => other !== chat);
    await keep(() => state.store.deleteChat(chat.id));
    tabs.postMessage(chat.id);
    if (state.chat === chat) startChat();
    else refreshChats();
  },
};

const pageActions = {
  "new-chat": startChat,
  "open-side": () => (
    document.body.classList.add("side-open"),
    byId("chats").querySelector("a")?.focus()
  ),
  "close-side": () => document.body.classList.remove("side-open"),
  "close-notice": () => showNotice(""),
  "focus-input": () => byId("input").focus(),
  "ask-key": () => askKey().then((isGiven) => isGiven && connect()),
  theme: nextTheme,
  latest() {
    state.isFollowing = true;
    follow();
  },
  cancel: (button) => button.closest("dialog").close(""),
  "copy-code": (button) => copyText(button.closest("figure").querySelector("code").textContent),
  "clear-settings": (button) => {
    for (const field of button.form.querySelectorAll("textarea, input[type=number]"))
      field.value = "";
  },
  async settings() {
    const asked = await askSettings(state.chat.settings, state.model?.defaults);
    if (!asked) return;
    state.chat.settings = asked.settings;
    if (asked.isDefault) preferences.set("settings", JSON.stringify(asked.settings));
    if (state.chats.includes(state.chat)) await saveChat(state.chat);
  },
  async export() {
    saveFile(
      `sinkd-chats-${new Date().toISOString().slice(0, 10)}.json`,
      await exportChats(state.store, state.chats),
    );
  },
  import: () => byId("file").click(),
};

async function importFile(file) {
  try {
    const imported = readExport(await file.text());
    for (const { chat, messages } of imported) {
      for (const message of messages) await state.store.putMessage(message);
      await saveChat(chat);
    }
    say(`Imported ${imported.length} chats.`);
    if (imported.length > 0) await openChat(imported[0].chat);
  } catch (error) {
    showNotice(`The file was not imported: ${error.message}.`);
  }
}

// ---- events ----

const isSendKey = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing;

function onClick(event) {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const { action } = button.dataset;
  const message = state.messages.get(Number(button.closest("article")?.dataset.id));
  const chat = state.chats.find(({ id }) => id === button.closest("li")?.dataset.chat);
  if (button.tagName === "A") event.preventDefault();
  if (chatActions[action] && chat) chatActions[action](chat);
  else if (messageActions[action] && message) messageActions[action](message, button);
  else pageActions[action]?.(button);
}

function onKey(event) {
  const isInField = event.target.closest("input, textarea, dialog");
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (document.body.classList.contains("side-open")) pageActions["close-side"]();
    else stop();
  } else if (event.key === "/" && !isInField) {
    event.preventDefault();
    byId("input").focus();
  }
}

function growInput() {
  const input = byId("input");
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
  preferences.set("draft", input.value || null, "sessionStorage");
}

function sendInput() {
  const input = byId("input");
  if (isRunning(state.chat.id) || !input.value.trim()) return;
  const text = input.value;
  input.value = "";
  growInput();
  send(text, state.chat.leaf);
}

function onInputKey(event) {
  if (isSendKey(event)) {
    event.preventDefault();
    sendInput();
  } else if (event.key === "ArrowUp" && event.target.value === "") {
    const last = state.path.findLast(({ role }) => role === "user");
    if (last && !isRunning(state.chat.id)) edit(last);
  }
}

function onScroll() {
  const { scrollHeight, scrollTop, clientHeight } = byId("scroll");
  state.isFollowing = scrollHeight - scrollTop - clientHeight < 80;
  byId("latest").hidden = state.isFollowing;
}

async function onHash() {
  const chat = state.chats.find(({ id }) => id === location.hash.slice(1));
  if (chat && chat !== state.chat) await openChat(chat);
  else if (!chat && state.chats.includes(state.chat)) showChat(newChat(), new Map());
}

// Another tab changed a chat: the list is read anew, and the chat itself where it is only shown.
async function onOtherTab({ data: id }) {
  const chats = await state.store.chats();
  state.chats = chats.map((chat) =>
    isRunning(chat.id) ? state.chats.find((old) => old.id === chat.id) : chat,
  );
  state.chats.sort((a, b) => b.updated - a.updated);
  const shown = state.chats.find((chat) => chat.id === state.chat.id);
  if (shown && id === state.chat.id && !isRunning(id)) await openChat(shown);
  else if (shown) state.chat = shown;
  refreshChats();
}

function listen() {
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (isRunning(state.chat.id)) stop();
    else sendInput();
  });
  byId("input").addEventListener("keydown", onInputKey);
  byId("input").addEventListener("input", growInput);
  byId("scroll").addEventListener("scroll", onScroll, { passive: true });
  byId("filter").addEventListener("input", refreshChats);
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) importFile(target.files[0]);
    target.value = "";
  });
  addEventListener("hashchange", onHash);
  tabs.onmessage = onOtherTab;
}

async function connect() {
  try {
    state.model = await persist(fetchModel);
    showNotice("");
  } catch (error) {
    showNotice(error.message);
  }
  refreshChat();
}

async function main() {
  showTheme();
  state.store = await Store.open().catch(() => new MemoryStore());
  state.chats = (await state.store.chats()).sort((a, b) => b.updated - a.updated);
  const named = state.chats.find(({ id }) => id === location.hash.slice(1));
  if (named) await openChat(named);
  else showChat(newChat(), new Map());
  listen();
  byId("input").value = preferences.get("draft", "sessionStorage") ?? "";
  byId("input").readOnly = false; // before, what was typed would be lost
  growInput();
  byId("input").focus();
  await connect();
}

main();
