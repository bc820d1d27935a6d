// page_safety.mjs CHROMIUM BASE_URL KEYED_URL KEY FOLDER PID - what the chat page must never do, and pages of
// other origins; test_page.py judges what it prints. The keyed daemon is PID and reads FOLDER's sinkd.ini and
// keys again when it is told to.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import http from "node:http";
import { openBrowser, Visitor } from "./browser.mjs";
import { main, test } from "./cases.mjs";

const [chromium, base, keyed, key, folder, pid] = process.argv.slice(2);
const browser = await openBrowser(chromium);

const ATTACKS = [
  '<img src=x onerror="alert(1)">',
  "<script>alert(2)</script>",
  "[click](javascript:alert(3))",
  "[click](JaVaScRiPt:alert(4))",
  "[click](data:text/html,<script>alert(5)</script>)",
  '![image](https://example.com/x.png"onerror="alert(6))',
  '<https://example.com/"onmouseover=alert(7)>',
  "```html\n<svg onload=alert(8)>\n```",
  "| <b>a</b> | b |\n|---|---|\n| <iframe src=javascript:alert(9)> | `<i>` |",
  "&lt;img src=x onerror=alert(10)&gt; &#60;b&#62;",
];

const MADE =
  "script:not(body > script), img, svg:not(#side svg, .bar svg), iframe, b:not(.legend b), i:not(.meter i), [onerror], [onload], [onmouseover]";

test("markup in a model's text stays text", async () => {
  const me = await Visitor.open(browser, base);
  await me.play(ATTACKS.join("\n\n"));
  await me.say("Attack");
  assert.equal(await me.page.locator(MADE).count(), 0);
  const links = me.page.locator("#log a");
  assert.ok((await links.count()) > 0);
  for (const link of await links.all())
    assert.equal(await link.evaluate(({ protocol }) => protocol), "https:");
  const shown = await me.page.innerText("#log");
  for (const text of ["<img src=x", "<script>alert(2)</script>", "<svg onload", "&lt;img"])
    assert.ok(shown.includes(text), text);
  await me.close();
});

test("markup in titles, system prompts and imports stays text", async () => {
  const me = await Visitor.open(browser, base);
  const attack = ATTACKS[0];
  const file = {
    format: "sinkd-chats",
    version: 1,
    chats: [
      {
        title: attack,
        leaf: 2,
        settings: { system: attack, temperature: "x" },
        messages: [
          { id: 1, parent: 0, role: "user", text: attack },
          {
            id: 2,
            parent: 1,
            role: "assistant",
            text: attack,
            thinking: attack,
            error: attack,
            reply: { finish: attack, tokens: attack },
          },
        ],
      },
    ],
  };
  await me.page.setInputFiles("#file", {
    name: "x.json",
    mimeType: "application/json",
    buffer: Buffer.from(JSON.stringify(file)),
  });
  await me.page.waitForSelector(".message.assistant");
  assert.equal(await me.page.innerText("h1"), attack);
  assert.deepEqual(await me.titles(), [attack]);
  await me.page.click("#chats [data-action=delete]");
  await me.page.click("#ask [data-action=cancel]");
  await me.page.click("[data-action=settings]");
  assert.equal(await me.page.inputValue("[name=system]"), attack);
  assert.equal(await me.page.locator(MADE).count(), 0);
  await me.close();
});

test("the policy lets no other script run, and no other server be called", async () => {
  const me = await Visitor.open(browser, base);
  const seen = await me.page.evaluate(async () => {
    const violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      violations.push(event.effectiveDirective),
    );
    const script = document.createElement("script");
    try {
      script.text = "window.hacked = 1";
      document.head.append(script);
    } catch {
      /* Trusted Types */
    }
    try {
      document.getElementById("log").innerHTML = "<b>x</b>";
    } catch {
      /* Trusted Types */
    }
    await fetch("https://example.com/").catch(() => {});
    const style = document.createElement("style");
    style.textContent = "body { display: none }";
    document.head.append(style);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { violations, hacked: window.hacked, bold: document.querySelector("#log b") !== null };
  });
  assert.equal(seen.hacked, undefined);
  assert.equal(seen.bold, false);
  for (const directive of ["require-trusted-types-for", "connect-src", "style-src-elem"])
    assert.ok(seen.violations.includes(directive), `${directive} in ${seen.violations}`);
  await me.context.close(); // its problems were wanted
});

test("links lead away without telling from where", async () => {
  const me = await Visitor.open(browser, base);
  await me.play("See [this](https://example.com/a) and https://example.com/b.");
  await me.say("Links?");
  const links = await me.page
    .locator("#log a")
    .evaluateAll((all) => all.map(({ href, rel, target }) => ({ href, rel, target })));
  assert.deepEqual(
    links,
    ["a", "b"].map((name) => ({
      href: `https://example.com/${name}`,
      rel: "noopener noreferrer",
      target: "_blank",
    })),
  );
  await me.close();
});

test("markdown becomes what it means", async () => {
  const me = await Visitor.open(browser, base);
  const shape = (markdown) =>
    me.page.evaluate((markdown) => {
      const walk = (node) =>
        node.nodeType === 3
          ? node.textContent
          : `${node.tagName.toLowerCase()}(${[...node.childNodes].map(walk).join("")})`;
      return [...renderMarkdown(markdown).childNodes].map(walk).join(" ");
    }, markdown);
  assert.equal(await shape("a **b** *c* ~~d~~ `e*f*`"), "p(a strong(b) em(c) del(d) code(e*f*))");
  assert.equal(
    await shape("snake_case_name 2 * 3 * 4 **open"),
    "p(snake_case_name 2 * 3 * 4 **open)",
  );
  assert.equal(await shape("# T\n\none\ntwo\n\n---"), "h3(T) p(onebr()two) hr()");
  assert.equal(
    await shape("1. a\n2. b\n   - c\n   - d\n3. e"),
    "ol(li(a)li(bul(li(c)li(d)))li(e))",
  );
  assert.equal(await shape("- a\n\n- b\n\ntext"), "ul(li(a)li(b)) p(text)");
  assert.equal(await shape("> q\n> r"), "blockquote(p(qbr()r))");
  assert.equal(
    await shape("| a | b |\n|---|:-:|\n| 1 | 2 |"),
    "div(table(thead(tr(th(a)th(b)))tbody(tr(td(1)td(2)))))",
  );
  assert.equal(
    await shape("```py\nx = 1\n\n# no\n```\nend"),
    "figure(figcaption(span(py)button(Copy))pre(code(x = 1\n\n# no))) p(end)",
  );
  assert.equal(await shape("\\*no\\* ``a`b``"), "p(*no* code(a`b))");
  await me.close();
});

test("text made to be slow is not", async () => {
  const me = await Visitor.open(browser, base);
  const n = 10_000;
  await me.play(
    "*a ".repeat(n),
    "\n\n",
    "[".repeat(n),
    "\n\n",
    "`".repeat(n),
    "x",
    "`".repeat(n - 1),
    "\n\n",
    "> ".repeat(n),
    "\n\n",
    "- ".repeat(n),
    "\n\n",
    "**_".repeat(n),
    "\n\n",
    "#".repeat(3) + " " + " #".repeat(n),
    "\n\n",
    "|".repeat(n) + "\n" + "|-".repeat(n),
  );
  await me.say("Slow?");
  await me.close();
});

test("a server that wants a key gets it, and the page keeps it only if told", async () => {
  const me = await Visitor.open(browser, keyed);
  await me.page.waitForSelector("#ask[open]");
  await me.page.fill("#ask-input", "wrong-key-0123456789");
  await me.page.press("#ask-input", "Enter");
  await me.page.waitForFunction(
    () =>
      document.getElementById("ask-text").textContent.includes("key") &&
      document.getElementById("ask").open,
  );
  await me.page.fill("#ask-input", key);
  await me.page.click("#ask-ok");
  await me.page.waitForFunction(() => document.getElementById("model").textContent !== "");
  await me.limit(8);
  await me.say("Hello");
  const kept = () =>
    me.page.evaluate(() => [
      sessionStorage.getItem("sinkd.key"),
      localStorage.getItem("sinkd.key"),
    ]);
  assert.deepEqual(await kept(), [key, null]);
  await me.page.click("[data-action=ask-key]");
  await me.page.check("#ask-stay input");
  await me.page.click("#ask-ok");
  await me.page.waitForFunction(() => !document.getElementById("ask").open);
  assert.deepEqual(await kept(), [null, key]);
  await me.close();
});

// A front end of somebody else, on a port of its own.
async function withFrontEnd(use) {
  const server = http.createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>front end</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(server.address().port);
  } finally {
    server.close();
  }
}

// Streams a chat from within that page: what it read, or the name of the error.
const streamFrom = (page, url, key) =>
  page.evaluate(
    async ({ url, key }) => {
      try {
        const response = await fetch(`${url}v1/chat/completions`, {
          method: "POST",
          headers: {
            Authorization: `Bearer ${key}`,
            "Content-Type": "application/json",
            "X-Conversation-Id": "front",
          },
          body: JSON.stringify({
            stream: true,
            max_tokens: 8,
            ignore_eos: true,
            messages: [{ role: "user", content: "Hello" }],
          }),
        });
        let text = "";
        for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
          const { value, done } = await reader.read();
          if (done)
            return {
              status: response.status,
              requestId: response.headers.get("X-Request-Id"),
              text,
            };
          text += value;
        }
      } catch (error) {
        return { error: error.name };
      }
    },
    { url, key },
  );

test("a page of another local origin streams with its key, a foreign one does not", async () => {
  await withFrontEnd(async (port) => {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${port}/`);
    const seen = await streamFrom(page, keyed, key);
    assert.equal(seen.status, 200);
    assert.match(seen.requestId, /^req_/);
    assert.match(seen.text, /"finish_reason":"length"[^]*data: \[DONE\]\n\n$/);
    assert.equal((await streamFrom(page, keyed, "wrong")).status, 401);
    await page.goto(`http://front.example:${port}/`);
    assert.deepEqual(await streamFrom(page, keyed, key), { error: "TypeError" });
    await page.close();
  });
});

// What the page reads once it reads what is expected of it; the daemon says nothing of a reload to clients.
async function streamUntil(isReady, ...from) {
  for (let i = 0; ; i++) {
    const seen = await streamFrom(...from);
    if (isReady(seen) || i === 200) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("origins and keys may change while the daemon runs", async () => {
  const change = (name, text) => {
    writeFileSync(`${folder}/${name}`, text);
    process.kill(Number(pid), "SIGHUP");
  };
  await withFrontEnd(async (port) => {
    const page = await browser.newPage();
    await page.goto(`http://front.example:${port}/`);
    assert.equal((await streamFrom(page, keyed, key)).error, "TypeError");
    const config = `api-key-file = ${folder}/keys\n`;
    change("sinkd.ini", `${config}cors-origin = http://front.example:${port}/\n`);
    const seen = await streamUntil((seen) => seen.status, page, keyed, key);
    assert.equal(seen.status, 200);
    assert.match(seen.requestId, /^req_/);
    assert.match(seen.text, /data: \[DONE\]\n\n$/);

    change("keys", "front: another-key-9876543210\n");
    const refused = await streamUntil((seen) => seen.status !== 200, page, keyed, key);
    assert.equal(refused.status, 401);
    assert.equal(JSON.parse(refused.text).error.code, "invalid_api_key");
    assert.equal((await streamFrom(page, keyed, "another-key-9876543210")).status, 200);

    change("sinkd.ini", config);
    const gone = await streamUntil((seen) => seen.error, page, keyed, "another-key-9876543210");
    assert.equal(gone.error, "TypeError");
    await page.close();
  });
});

await main(() => browser.close());
