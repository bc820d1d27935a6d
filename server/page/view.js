// ---- view: what is on the screen; it changes no data ----

const byId = (id) => document.getElementById(id);
const count = (n) => n.toLocaleString("en-US");
const tokens = (n) => (n === 1 ? "1 token" : `${count(n)} tokens`);

function say(text) {
  byId("status").textContent = text;
}

function showNotice(text) {
  byId("notice").hidden = !text;
  byId("notice").firstChild.textContent = text;
}

// ---- the gauge ----

function sightOf({ window, position, evicted, sinks, recent }) {
  if (evicted > 0)
    return (
      `The model no longer sees the ${tokens(evicted)} between the first ${count(sinks)} ` +
      `and the most recent ${count(recent)}.`
    );
  if (position > 0)
    return (
      `The model sees all ${tokens(position)} of this chat; ` +
      `${count(Math.max(0, window - position))} more fit into its window.`
    );
  return (
    `The model sees ${tokens(window)} at once: the first ${count(sinks)} for ever, ` +
    `and the most recent.`
  );
}

// `session` as in a reply, or what is known of the model before there was one.
function showGauge(session) {
  byId("gauge").hidden = !session?.window;
  if (!session?.window) return;
  const { window, position = 0, evicted_tokens: evicted = 0 } = session;
  const sinks = position > 0 ? Math.min(session.sinks, position) : session.sinks;
  const recent = Math.max(0, position - sinks - evicted);
  const free = evicted > 0 ? 0 : Math.max(0, window - sinks - recent);

  const whole = sinks + evicted + recent + free;
  for (const [name, n] of Object.entries({ sinks, evicted, recent, free })) {
    const part = document.querySelector(`.meter .${name}`);
    part.style.width = `${(n / whole) * 100}%`;
    part.style.minWidth = n > 0 ? "4px" : "0";
    part.style.flexShrink = name === "sinks" ? 0 : 1;
  }
  byId("n-sinks").textContent = count(sinks);
  byId("n-evicted").textContent = count(evicted);
  byId("n-recent").textContent = count(recent);
  byId("n-window").textContent = count(window);
  byId("sight").textContent = sightOf({ window, position, evicted, sinks, recent });
}

// How many messages of the path lie wholly before what the model still sees.
function countGone(path) {
  const session = path.findLast((message) => message.reply?.session)?.reply.session;
  if (!session?.evicted_tokens) return 0;
  const horizon = session.sinks + session.evicted_tokens;
  let n = 0;
  path.forEach((message, i) => {
    if (message.reply?.session && message.reply.session.position <= horizon) n = i + 1;
  });
  return n;
}

// Draws the line above which the model sees nothing but sinks.
function showHorizon(path, articles) {
  document.querySelector(".horizon")?.remove();
  const nGone = countGone(path);
  path.forEach(({ id }, i) => articles.get(id)?.classList.toggle("gone", i < nGone));
  const first = nGone > 0 && articles.get(path[nGone]?.id);
  first?.before?.(
    element("div", {
      className: "horizon",
      textContent: "The model no longer sees what is above, save its very first tokens",
    }),
  );
}

// ---- the list of chats ----

function showChats(chats, currentId, isBusy) {
  const list = byId("chats");
  const filter = byId("filter").value.trim().toLowerCase();
  byId("filter").hidden = chats.length < 8;
  const shown = chats.filter((chat) => chat.title.toLowerCase().includes(filter));
  const items = shown.map((chat) => chatItem(chat, chat.id === currentId, isBusy(chat.id)));
  keepFocus(() => list.replaceChildren(...items));
}

function chatItem(chat, isCurrent, isBusy) {
  const item = byId("chat-item").content.firstElementChild.cloneNode(true);
  item.classList.toggle("current", isCurrent);
  item.classList.toggle("busy", isBusy);
  item.dataset.chat = chat.id;
  const [link, rename, remove] = item.children;
  link.href = `#${chat.id}`;
  link.textContent = link.title = chat.title;
  if (isCurrent) link.ariaCurrent = "page";
  rename.ariaLabel = rename.title = `Rename “${chat.title}”`;
  remove.ariaLabel = remove.title = `Delete “${chat.title}”`;
  return item;
}

// ---- messages ----

const FINISHES = { length: "cut at the length limit", stopped: "stopped" };

function factsOf({ reply }) {
  if (!reply) return "";
  const facts = [];
  if (reply.tokens !== undefined) facts.push(tokens(reply.tokens));
  if (reply.perSecond > 0) facts.push(`${reply.perSecond.toFixed(1)} tokens/s`);
  if (reply.firstMs !== undefined)
    facts.push(`first token after ${(reply.firstMs / 1000).toFixed(2)} s`);
  if (reply.cachedTokens !== undefined)
    facts.push(`${count(reply.cachedTokens)} of ${count(reply.promptTokens)} cached`);
  if (FINISHES[reply.finish]) facts.push(FINISHES[reply.finish]);
  return facts.join(" · ");
}

function actionsOf(message, siblings) {
  const button = (action, label, name) =>
    element("button", {
      ...{ type: "button", className: "quiet", textContent: label },
      ...{ "data-action": action, "aria-label": name },
    });
  const actions = element("span", { className: "actions" });
  if (siblings.length > 1) {
    const place = `${siblings.indexOf(message) + 1} of ${siblings.length}`;
    actions.append(
      button("previous", "‹", `Previous version, now ${place}`),
      element("span", { className: "branch", textContent: place }),
      button("next", "›", `Next version, now ${place}`),
    );
  }
  if (message.role === "user") actions.append(button("edit", "Edit"));
  actions.append(button("copy", "Copy"));
  if (message.role === "assistant") {
    actions.append(button("regenerate", message.error ? "Try again" : "Regenerate"));
    if (message.text && message.reply?.finish !== "stop")
      actions.append(button("continue", "Continue"));
  }
  return actions;
}

function thinkingBlock() {
  return element(
    "details",
    { className: "thinking" },
    ...[element("summary", { textContent: "Thinking" }), element("div")],
  );
}

function showThinking(article, text) {
  if (!text) return;
  if (!article.querySelector(".thinking")) article.prepend(thinkingBlock());
  article.querySelector(".thinking div").textContent = text;
}

// Fills the article of a message that does not change any more.
function fillMessage(article, message, siblings) {
  const body = element("div", { className: "body" });
  if (message.role === "user") body.textContent = message.text;
  else body.append(renderMarkdown(message.text));
  const facts = element("span", { className: "facts", textContent: factsOf(message) });
  article.replaceChildren(body);
  showThinking(article, message.thinking);
  if (message.error)
    article.append(element("p", { className: "error", textContent: message.error }));
  article.append(element("div", { className: "row" }, facts, actionsOf(message, siblings)));
}

function messageArticle(message) {
  return element("article", {
    ...{ className: `message ${message.role}`, "data-id": message.id },
    "aria-label": message.role === "user" ? "You" : "Assistant",
  });
}

// Where a growing text can be cut so that both parts render as the whole would: after a blank line
// outside of code and lists. Nothing at all is lost if it is wrong; the end renders all anew.
function lastCut(text, begin) {
  let cut = begin;
  let fence = "";
  for (let at = begin; at < text.length; ) {
    const end = text.indexOf("\n", at);
    if (end < 0) break;
    const line = text.slice(at, end);
    const mark = FENCE.exec(line)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark && mark.startsWith(fence)) fence = "";
    at = end + 1;
    if (!fence && isBlank(line) && at < text.length && !/^[\s\d*+-]/.test(text.slice(at))) cut = at;
  }
  return cut;
}

// An answer while it comes. Blocks that are complete are not touched again, so a long answer costs
// no more per piece than a short one; pieces that come within one frame are drawn together.
class GrowingAnswer {
  constructor(article, onDrawn) {
    this.article = article;
    this.body = element("div", { className: "body waiting" });
    this.facts = element("span", { className: "facts" });
    article.replaceChildren(this.body, element("div", { className: "row" }, this.facts));
    this.onDrawn = onDrawn;
    this.begin = 0;
    this.nFrozen = 0;
    this.frame = 0;
  }
  update(message, facts) {
    this.message = message;
    this.factsText = facts;
    this.frame ||= requestAnimationFrame(() => keepFocus(() => this.draw()));
  }
  draw() {
    this.frame = 0;
    const { text, thinking } = this.message;
    if (text) this.body.classList.remove("waiting");
    while (this.body.childNodes.length > this.nFrozen) this.body.lastChild.remove();
    const cut = lastCut(text, this.begin);
    if (cut > this.begin) {
      this.body.append(renderMarkdown(text.slice(this.begin, cut)));
      this.nFrozen = this.body.childNodes.length;
      this.begin = cut;
    }
    this.body.append(renderMarkdown(text.slice(this.begin)));
    showThinking(this.article, thinking);
    this.facts.textContent = this.factsText;
    this.onDrawn();
  }
  end() {
    cancelAnimationFrame(this.frame);
  }
}

// ---- dialogs ----

// Resolves to { value, isToStay }, or null when it was cancelled. Without `value` it only asks.
function ask({ title, text = "", value, ok, isSecret = false, canStay = false }) {
  const dialog = byId("ask");
  const input = byId("ask-input");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-text").hidden = !text;
  byId("ask-ok").textContent = ok;
  input.hidden = value === undefined;
  input.type = isSecret ? "password" : "text";
  input.value = value ?? "";
  byId("ask-stay").hidden = !canStay;
  return showDialog(dialog).then((isOk) =>
    isOk ? { value: input.value, isToStay: byId("ask-stay").firstChild.checked } : null,
  );
}

function showDialog(dialog) {
  dialog.returnValue = "";
  const giveFocus = holdFocus();
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const onClose = () => (giveFocus(), resolve(dialog.returnValue === "ok"));
    dialog.addEventListener("close", onClose, { once: true });
  });
}

// Asks for the settings of a chat: { settings, isDefault }, or null. `defaults` are the server's.
async function askSettings(settings, defaults = {}) {
  const dialog = byId("settings");
  const form = dialog.querySelector("form");
  byId("sampling").replaceChildren(
    ...Object.entries(SETTINGS).map(([name, { min, max, step }]) =>
      element(
        "label",
        {},
        name.replaceAll("_", " "),
        element("input", {
          name,
          type: "number",
          min,
          max,
          step: "any",
          placeholder: defaults[name] ?? "random",
          inputMode: step < 1 ? "decimal" : "numeric",
        }),
      ),
    ),
  );
  for (const name of ["system", ...Object.keys(SETTINGS)])
    form.elements[name].value = settings[name] ?? "";
  form.elements.default.checked = false;
  if (!(await showDialog(dialog))) return null;

  const values = { system: form.elements.system.value.trim() };
  for (const name of Object.keys(SETTINGS)) {
    const { value } = form.elements[name];
    if (value !== "") values[name] = Number(value);
  }
  return { settings: readSettings(values), isDefault: form.elements.default.checked };
}

// ---- clipboard and files ----

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain HTTP from another machine: browsers have only the old way there.
    const field = document.body.appendChild(
      element("textarea", { value: text, className: "hidden" }),
    );
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say("Copied.");
}

function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// ---- light and dark ----

const THEMES = ["system", "dark", "light"];

function showTheme() {
  const theme = preferences.get("theme") ?? "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

function nextTheme() {
  const theme = preferences.get("theme") ?? "system";
  preferences.set("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  showTheme();
}
