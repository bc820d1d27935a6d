// ---- store: chats and messages in the browser's own database ----
//
// A chat is { id, title, created, updated, leaf, nextId, settings }. Its messages form a
// tree: an edit or another answer is a sibling, and `leaf` says which branch is shown. A message is
// { chat, id, parent, role, text, thinking, at, reply, error }; `reply` holds what the server said
// of the answer. One record per message keeps saving cheap however long the chat is.

const DATABASE = "sinkd";

function asPromise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const rangeOf = (chat) => IDBKeyRange.bound([chat], [chat, []]);

class Store {
  static async open() {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("chats", { keyPath: "id" });
      request.result.createObjectStore("messages", { keyPath: ["chat", "id"] });
    };
    const store = new Store();
    store.database = await asPromise(request);
    return store;
  }
  table(name, mode = "readonly") {
    return this.database.transaction(name, mode).objectStore(name);
  }
  chats() {
    return asPromise(this.table("chats").getAll());
  }
  messages(chat) {
    return asPromise(this.table("messages").getAll(rangeOf(chat)));
  }
  putChat(chat) {
    return asPromise(this.table("chats", "readwrite").put(chat));
  }
  putMessage(message) {
    return asPromise(this.table("messages", "readwrite").put(message));
  }
  async deleteChat(chat) {
    await asPromise(this.table("chats", "readwrite").delete(chat));
    await asPromise(this.table("messages", "readwrite").delete(rangeOf(chat)));
  }
}

// Stands in where the browser allows no database; forgets all on reload.
class MemoryStore {
  chatsById = new Map();
  messagesByKey = new Map();
  async chats() {
    return [...this.chatsById.values()];
  }
  async messages(chat) {
    return [...this.messagesByKey.values()].filter((message) => message.chat === chat);
  }
  async putChat(chat) {
    this.chatsById.set(chat.id, chat);
  }
  async putMessage(message) {
    this.messagesByKey.set(`${message.chat} ${message.id}`, message);
  }
  async deleteChat(chat) {
    this.chatsById.delete(chat);
    for (const message of await this.messages(chat))
      this.messagesByKey.delete(`${chat} ${message.id}`);
  }
}

// Small settings of this browser. Storage that is blocked costs memory over a reload, nothing else.
const preferences = {
  get(name, area = "localStorage") {
    try {
      return window[area].getItem(`sinkd.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value, area = "localStorage") {
    try {
      if (value === null) window[area].removeItem(`sinkd.${name}`);
      else window[area].setItem(`sinkd.${name}`, value);
    } catch {
      /* blocked or full */
    }
  },
};

// ---- trees of messages ----

// Not crypto.randomUUID: that is missing where the page comes over plain HTTP from another machine.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "chat-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The messages from the first one to `leaf`.
function pathTo(messages, leaf) {
  const path = [];
  for (let message = messages.get(leaf); message; message = messages.get(message.parent))
    path.push(message);
  return path.reverse();
}

function childrenOf(messages, parent) {
  return [...messages.values()].filter((message) => message.parent === parent);
}

// { parent: [children] } of all, for who needs many of them.
function familyOf(messages) {
  const family = new Map();
  for (const message of messages.values()) {
    if (!family.has(message.parent)) family.set(message.parent, []);
    family.get(message.parent).push(message);
  }
  return family;
}

// The newest end of the branch that begins with `id`.
function newestLeaf(messages, id) {
  const family = familyOf(messages);
  for (let children = family.get(id); children; children = family.get(id)) id = children.at(-1).id;
  return id;
}

// ---- export and import ----

const EXPORT_FORMAT = "sinkd-chats";
const MAX_ID = 1e9; // leaves room to count on

async function exportChats(store, chats) {
  const list = [];
  for (const chat of chats) list.push({ ...chat, messages: await store.messages(chat.id) });
  return JSON.stringify({ format: EXPORT_FORMAT, version: 1, chats: list }, null, 1);
}

function readMessage(value, chat, seen) {
  const roles = ["user", "assistant"];
  if (!Number.isInteger(value?.id) || value.id < 1 || value.id > MAX_ID || seen.has(value.id))
    throw new Error("a message has no number of its own");
  if (value.parent !== 0 && !seen.has(value.parent)) throw new Error("a message has no parent");
  if (!roles.includes(value.role) || typeof value.text !== "string")
    throw new Error("a message has no role or no text");
  seen.add(value.id);
  const { id, parent, role, text, thinking, at, reply, error } = value;
  return {
    ...{ chat, id, parent, role, text, at: Number(at) || Date.now() },
    ...(typeof thinking === "string" && { thinking }),
    ...(typeof error === "string" && { error }),
    ...(reply && { reply: readReply(reply) }),
  };
}

// What a file holds, as [{ chat, messages }]; throws a sentence when it is not such a file. Each
// chat gets a new id: an import never overwrites.
function readExport(text) {
  const file = JSON.parse(text);
  if (file?.format !== EXPORT_FORMAT || file.version !== 1 || !Array.isArray(file.chats))
    throw new Error("it is not an export of this page");
  return file.chats.map((value) => {
    const id = randomId();
    const seen = new Set();
    const messages = (value?.messages ?? [])
      .sort((a, b) => a.id - b.id)
      .map((message) => readMessage(message, id, seen));
    const last = messages.at(-1)?.id ?? 0;
    const chat = {
      id,
      title: String(value?.title ?? "").slice(0, 200),
      created: Number(value?.created) || Date.now(),
      updated: Number(value?.updated) || Date.now(),
      leaf: seen.has(value?.leaf) ? value.leaf : last,
      nextId: last + 1,
      settings: readSettings(value?.settings),
    };
    return { chat, messages };
  });
}
