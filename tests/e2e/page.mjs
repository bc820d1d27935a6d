// page.mjs CHROMIUM BASE_URL - uses the chat page as a person does, against a daemon with a small
// window; test_page.py judges what it prints.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { openBrowser, Visitor } from "./browser.mjs";
import { main, test } from "./cases.mjs";

const [chromium, base] = process.argv.slice(2);
const browser = await openBrowser(chromium);
const open = (options) => Visitor.open(browser, base, options);

// The `session` object of the stream that the page reads.
function nextSession(page) {
  return page
    .waitForResponse((response) => response.url().endsWith("/chat/completions"))
    .then((response) => response.text())
    .then((text) => JSON.parse(/^data: (.*"session":.*)$/m.exec(text)[1]).session);
}

test("a new chat streams and is listed", async () => {
  const me = await open();
  await me.limit(24);
  await me.page.evaluate(() => {
    window.lengths = new Set();
    new MutationObserver(() => {
      const body = document.querySelector(".message.assistant .body");
      if (body) window.lengths.add(body.textContent.length);
    }).observe(document.getElementById("log"), { childList: true, subtree: true });
  });
  assert.ok((await me.say("Hello there")).length > 0);
  assert.ok(await me.page.evaluate(() => window.lengths.size > 1), "it came in one piece");
  assert.deepEqual(await me.titles(), ["Hello there"]);
  const facts = await me.last().locator(".facts").innerText();
  assert.match(
    facts,
    /^24 tokens · [\d.]+ tokens\/s · first token after [\d.]+ s · 0 of \d+ cached/,
  );
  assert.deepEqual(me.requests[0].messages, [{ role: "user", content: "Hello there" }]);
  await me.close();
});

// Until its chats are read, which a slow disk makes long, it can do nothing with what is typed.
test("nothing that is typed at once is lost", async () => {
  const me = await open();
  await me.play("I am here.");
  await me.page.addInitScript(() => {
    const { set } = Object.getOwnPropertyDescriptor(IDBRequest.prototype, "onsuccess");
    Object.defineProperty(IDBRequest.prototype, "onsuccess", {
      set(handler) {
        set.call(this, (event) => setTimeout(handler, 300, event));
      },
    });
  });
  await me.page.reload();
  assert.equal(await me.say("Are you there?"), "I am here.");
  await me.close();
});

test("the next turn goes on in the same session", async () => {
  const me = await open();
  await me.limit(8);
  const seen = [];
  me.page.on("request", (request) => {
    if (request.method() === "POST") seen.push(request.headers()["x-conversation-id"]);
  });
  await me.say("One");
  await me.say("Two");
  assert.equal(me.requests[1].messages.length, 3);
  assert.match(seen[0], /^chat-[0-9a-f]{24}$/);
  assert.equal(seen[0], seen[1]);
  assert.match(await me.last().locator(".facts").innerText(), / · [1-9]\d* of \d+ cached/);
  await me.close();
});

test("the gauge says what the API says", async () => {
  const me = await open();
  await me.limit(16);
  let session;
  for (const text of [
    "A first question",
    "And a second one",
    "And one more that rolls the first out",
  ]) {
    const coming = nextSession(me.page);
    await me.say(text);
    session = await coming;
    const number = async (id) => Number((await me.page.innerText(id)).replaceAll(",", ""));
    assert.equal(await number("#n-window"), session.window);
    assert.equal(await number("#n-sinks"), session.sinks);
    assert.equal(await number("#n-evicted"), session.evicted_tokens);
    assert.equal(
      await number("#n-recent"),
      session.position - session.sinks - session.evicted_tokens,
    );
  }
  assert.ok(session.evicted_tokens > 0, "the window is small enough to roll");
  assert.match(
    await me.page.innerText("#sight"),
    new RegExp(`no longer sees the ${session.evicted_tokens} tokens between the first 4 and`),
  );
  assert.equal(await me.page.locator(".horizon").count(), 1);
  assert.ok((await me.page.locator(".message.gone").count()) >= 2);
  await me.close();
});

test("stop keeps what was said, and continue goes on from there", async () => {
  const me = await open();
  await me.limit(1_000_000);
  await me.send("Tell me everything");
  await me.page.waitForFunction(
    () => document.querySelector(".assistant .body")?.innerText.length > 20,
  );
  assert.equal(await me.page.innerText("#send"), "Stop");
  await me.page.click("#send");
  await me.waitUntilIdle();
  const text = await me.lastText();
  assert.ok(text.length > 20);
  assert.match(await me.last().locator(".facts").innerText(), /stopped/);
  await me.limit(8);
  await me.page.click("[data-action=continue]");
  await me.page.waitForFunction(
    () => !document.querySelector(".facts")?.textContent.includes("stopped"),
  );
  await me.waitUntilIdle();
  const spoken = me.requests.at(-1).messages;
  assert.equal(spoken.at(-1).role, "assistant");
  assert.equal(await me.page.locator(".message").count(), 2);
  assert.ok((await me.lastText()).length > text.length);
  await me.close();
});

test("regenerate and edit make branches that can be walked", async () => {
  const me = await open();
  await me.limit(12, { seed: 1 });
  const first = await me.say("Say something");
  await me.limit(12, { seed: 2 });
  await me.page.click("[data-action=regenerate]");
  await me.page.waitForSelector(".assistant .branch");
  await me.waitUntilIdle();
  const second = await me.lastText();
  assert.notEqual(second, first);
  assert.equal(await me.page.innerText(".assistant .branch"), "2 of 2");
  assert.equal(me.requests[1].messages.length, 1);

  await me.page.click(".assistant [data-action=previous]");
  await me.page.waitForFunction(
    (text) => document.querySelector(".assistant .body").innerText === text,
    first,
  );
  await me.page.click(".assistant [data-action=next]");
  await me.page.waitForFunction(
    (text) => document.querySelector(".assistant .body").innerText === text,
    second,
  );

  await me.page.hover(".user");
  await me.page.click(".user [data-action=edit]");
  await me.page.fill(".edit textarea", "Say something else");
  await me.page.click("[data-action=edit-send]");
  await me.page.waitForSelector(".user .branch");
  await me.waitUntilIdle();
  assert.equal((await me.texts())[0], "Say something else");
  assert.deepEqual(me.requests[2].messages, [{ role: "user", content: "Say something else" }]);
  await me.page.hover(".user");
  await me.page.click(".user [data-action=previous]");
  await me.page.waitForFunction(
    (text) => document.querySelector(".assistant .body").innerText === text,
    second,
  );
  await me.close();
});

test("a reload keeps chats, branches, settings and a half written message", async () => {
  const me = await open();
  await me.limit(8);
  await me.page.click("[data-action=settings]");
  await me.page.fill("[name=system]", "Be brief.");
  await me.page.fill("[name=temperature]", "0.5");
  await me.page.click("#settings .primary");
  await me.say("Remember me");
  const texts = await me.texts();
  await me.page.fill("#input", "half a thou");
  await me.page.reload();
  await me.page.waitForSelector(".message.assistant");
  assert.deepEqual(await me.texts(), texts);
  assert.deepEqual(await me.titles(), ["Remember me"]);
  assert.equal(await me.page.inputValue("#input"), "half a thou");
  await me.say("And on");
  assert.equal(me.requests.at(-1).messages[0].content, "Be brief.");
  assert.equal(me.requests.at(-1).temperature, 0.5);
  await me.close();
});

test("chats are renamed, deleted, exported and imported", async () => {
  const me = await open();
  await me.limit(8);
  await me.say("First chat");
  await me.page.click("[data-action=new-chat]");
  await me.say("Second chat");
  assert.deepEqual(await me.titles(), ["Second chat", "First chat"]);

  await me.page.click("#chats .current [data-action=rename]");
  await me.page.fill("#ask-input", "Renamed");
  await me.page.press("#ask-input", "Enter");
  await me.page.waitForFunction(() => document.querySelector("h1").textContent === "Renamed");
  const texts = await me.texts();

  const download = me.page.waitForEvent("download");
  await me.page.click("[data-action=export]");
  const path = await (await download).path();
  const file = JSON.parse(await readFile(path, "utf8"));
  assert.deepEqual(file.chats.map(({ title }) => title).sort(), ["First chat", "Renamed"]);

  await me.page.click("#chats .current [data-action=delete]");
  await me.page.click("#ask-ok");
  await me.page.waitForFunction(() => document.querySelectorAll("#chats li").length === 1);
  assert.deepEqual(await me.titles(), ["First chat"]);

  await me.page.setInputFiles("#file", path);
  await me.page.waitForFunction(() => document.querySelectorAll("#chats li").length === 3);
  await me.page.click('#chats a:text("Renamed")');
  await me.page.waitForFunction(() => document.querySelector("h1").textContent === "Renamed");
  assert.deepEqual(await me.texts(), texts);
  await me.page.setInputFiles("#file", {
    name: "a.json",
    mimeType: "application/json",
    buffer: Buffer.from("{}"),
  });
  await me.page.waitForSelector("#notice:not([hidden])");
  await me.close();
});

test("the keyboard is enough", async () => {
  const me = await open();
  await me.limit(1_000_000);
  const focused = () =>
    me.page.evaluate(() => document.activeElement.id || document.activeElement.dataset.action);
  await me.page.waitForSelector("#input:focus");
  await me.page.keyboard.type("Long");
  await me.page.keyboard.press("Shift+Enter");
  await me.page.keyboard.type("question");
  await me.page.keyboard.press("Enter");
  await me.page.waitForFunction(
    () => document.querySelector(".assistant .body")?.innerText.length > 20,
  );
  assert.equal((await me.texts())[0], "Long\nquestion");
  await me.page.keyboard.press("Escape");
  await me.waitUntilIdle();

  const order = [];
  await me.page.focus(".skip");
  for (let i = 0; i < 40 && order.at(-1) !== "send"; i++) {
    await me.page.keyboard.press("Tab");
    const name = await focused();
    order.push(name);
    const ring = await me.page.evaluate(() => {
      const at = document.activeElement.closest("#composer") ?? document.activeElement;
      const style = getComputedStyle(at);
      return style.outlineStyle !== "none" || style.boxShadow !== "none";
    });
    assert.ok(ring, `the focus on ${name} is seen`);
  }
  const places = [
    "new-chat",
    "rename",
    "export",
    "theme",
    "settings",
    "scroll",
    "copy",
    "continue",
    "input",
    "send",
  ];
  const found = places.map((name) => order.indexOf(name));
  assert.deepEqual(
    found,
    [...found].sort((a, b) => a - b),
    order.join(" "),
  );
  assert.ok(!found.includes(-1), order.join(" "));

  await me.page.evaluate(() => document.activeElement.blur());
  await me.page.keyboard.press("/");
  assert.equal(await focused(), "input");
  await me.page.keyboard.press("ArrowUp");
  assert.equal(
    await me.page.evaluate(() => document.activeElement.closest(".edit") !== null),
    true,
  );
  await me.page.keyboard.press("Escape");
  assert.equal(await focused(), "edit");
  assert.equal(await me.page.locator(".edit").count(), 0);
  await me.close();
});

test("what is drawn anew keeps the focus", async () => {
  const me = await open();
  await me.limit(1_000_000);
  const { page } = me;
  const focused = () =>
    page.evaluate(() => {
      const { id, dataset } = document.activeElement;
      const place = document.activeElement.closest("#chats, article")?.className ?? "chats";
      return id || `${dataset.action} in ${place || "chats"}`;
    });
  const press = async (selector, key) => {
    await page.focus(selector);
    await page.keyboard.press(key);
  };
  const waitForText = (n) =>
    page.waitForFunction(
      (n) => document.querySelector(".assistant .body")?.innerText.length > n,
      n,
    );

  await me.send("Talk");
  await waitForText(20);
  await press("#chats [data-action=rename]", "Escape");
  await me.waitUntilIdle();
  assert.equal(await focused(), "rename in chats");
  await page.keyboard.press("Enter");
  await page.fill("#ask-input", "Talks");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#chats a").textContent === "Talks");
  assert.equal(await focused(), "rename in chats");

  await press(".assistant [data-action=continue]", "Enter");
  assert.equal(await focused(), "input", "its own button is gone");
  await page.evaluate(() => ([...state.runs.values()][0].message.text += "\n\n```\ncode\n"));
  await page.waitForSelector("[data-action=copy-code]");
  await page.focus("[data-action=copy-code]");
  await waitForText((await page.innerText(".assistant .body")).length + 20);
  assert.equal(await focused(), "copy-code in message assistant");
  await press(".user [data-action=copy]", "Escape");
  await me.waitUntilIdle();
  assert.equal(await focused(), "copy in message user");

  await press(".assistant [data-action=regenerate]", "Enter");
  assert.equal(await focused(), "input");
  await waitForText(0);
  await page.keyboard.press("Escape");
  await me.waitUntilIdle();
  await press(".assistant [data-action=previous]", "Enter");
  await page.waitForFunction(() => document.querySelector(".assistant .branch").innerText[0] === "1");
  assert.equal(await focused(), "previous in message assistant");
  await me.close();
});

test("a screen reader is told, once and in whole", async () => {
  const me = await open();
  await me.play("All ", "done.");
  await me.say("Go");
  assert.equal(await me.page.innerText("[role=status]"), "Answer: All done.");
  const unnamed = await me.page.evaluate(() =>
    [...document.querySelectorAll("button:not(dialog *), input, textarea, a, [tabindex]")]
      .filter(
        (node) =>
          !(
            node.ariaLabel ||
            node.textContent.trim() ||
            node.labels?.length ||
            node.getAttribute("aria-labelledby")
          ),
      )
      .map((node) => node.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(unnamed, []);
  await me.close();
});

test("what a model thinks is folded away and kept", async () => {
  const me = await open();
  await me.play({ reasoning_content: "First this, " }, { reasoning_content: "then that." }, "So.");
  assert.equal(await me.say("Think"), "So.");
  const thoughts = me.page.locator(".thinking div");
  assert.equal(await thoughts.isVisible(), false);
  await me.page.click(".thinking summary");
  assert.equal(await thoughts.innerText(), "First this, then that.");
  await me.page.reload();
  await me.page.waitForSelector(".thinking");
  assert.equal(await thoughts.textContent(), "First this, then that.");
  await me.page.unroute("**/v1/chat/completions");
  await me.limit(4);
  await me.say("Go on");
  assert.deepEqual(me.requests[0].messages[1], { role: "assistant", content: "So." });
  await me.close();
});

test("nothing overflows on a phone", async () => {
  const me = await open({ viewport: { width: 375, height: 667 }, hasTouch: true });
  await me.assertFits();
  await me.play(
    "x".repeat(300),
    "\n\n```\n" + "code ".repeat(80),
    "\n```\n\n| a | b |\n|---|---|\n| " + "y".repeat(200),
    " | z |\n\nhttps://example.com/" + "z".repeat(200),
  );
  await me.say("w".repeat(300));
  await me.assertFits();
  assert.equal(await me.page.locator("#side").isVisible(), false);
  await me.page.tap("[data-action=open-side]");
  await me.page.locator("#side").waitFor({ state: "visible" });
  await me.assertFits();
  await me.page.keyboard.press("Escape");
  await me.page.locator("#side").waitFor({ state: "hidden" });
  await me.page.tap("[data-action=settings]");
  await me.assertFits();
  await me.close();
});

test("an error is shown, and trying again works", async () => {
  const me = await open();
  await me.page.route("**/v1/chat/completions", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      body: 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Half"}}]}\n\ndata: {"error":{"message":"The engine tripped."}}\n\ndata: [DONE]\n\n',
    }),
  );
  await me.say("Go");
  assert.equal(await me.page.innerText(".error"), "The engine tripped.");
  await me.play("Whole");
  await me.page.click("[data-action=regenerate]");
  await me.page.waitForFunction(
    () => document.querySelector(".assistant .body").innerText === "Whole",
  );
  await me.close();
});

test("a busy server is asked again", async () => {
  const me = await open();
  let n = 0;
  await me.page.route("**/v1/chat/completions", (route) =>
    n++ === 0
      ? route.fulfill({
          status: 429,
          headers: { "Retry-After": "0" },
          json: { error: { message: "busy" } },
        })
      : route.continue(),
  );
  await me.send("Go");
  await me.page.waitForSelector(".facts:text('busy')");
  await me.page.waitForSelector(".actions >> text=Regenerate");
  assert.equal(n, 2);
  assert.equal(await me.page.locator(".error").count(), 0);
  await me.close();
});

test("thousands of messages open at their end and are all there", async () => {
  const me = await open();
  await me.play("The last answer");
  const messages = Array.from({ length: 1500 }, (_, i) => ({
    id: i + 1,
    parent: i,
    role: i % 2 ? "assistant" : "user",
    text: `Message **${i + 1}**`,
  }));
  const file = {
    format: "sinkd-chats",
    version: 1,
    chats: [{ title: "Long", leaf: 1500, messages }],
  };
  await me.page.setInputFiles("#file", {
    name: "long.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(file)),
  });
  await me.page.waitForSelector(".message");
  assert.equal(await me.lastText(), "Message 1500");
  await me.send("One more, while the first ones are still to come");
  await me.page.waitForFunction(() => document.querySelectorAll(".message").length === 1502);
  await me.waitUntilIdle();
  assert.equal(
    await me.page.evaluate(
      () => getComputedStyle(document.querySelector(".message")).contentVisibility,
    ),
    "auto",
  );
  const { top, height } = await me.page.evaluate(() => {
    const { scrollTop, clientHeight, scrollHeight } = document.getElementById("scroll");
    return { top: scrollTop + clientHeight, height: scrollHeight };
  });
  assert.ok(height - top < 100, "the end is in sight");
  assert.deepEqual(
    await me.page.evaluate(() =>
      [...document.querySelectorAll(".message")]
        .map((node) => Number(node.dataset.id))
        .every((id, i) => id === i + 1),
    ),
    true,
  );
  await me.close();
});

test("light, dark and the system's choice", async () => {
  const me = await open({ colorScheme: "dark" });
  const background = () =>
    me.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await background();
  await me.page.click("#theme");
  assert.equal(await background(), dark);
  await me.page.click("#theme");
  const light = await background();
  assert.notEqual(light, dark);
  await me.page.reload();
  assert.equal(await background(), light);
  await me.close();
});

await main(() => browser.close());
