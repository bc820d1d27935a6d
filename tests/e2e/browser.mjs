// browser.mjs - a headless Chromium, and the chat page as a person uses it.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", // it may run as root, on our own page
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP front.example 127.0.0.1", // another origin than the daemon's
];

export function openBrowser(executablePath) {
  return chromium.launch({ executablePath, args: FLAGS });
}

// One visitor with a storage of its own. `problems` collects what a page must never have.
export class Visitor {
  static async open(browser, url, options = {}) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext({ acceptDownloads: true, ...options });
    visitor.problems = [];
    visitor.requests = []; // bodies sent to the API
    visitor.page = await visitor.context.newPage();
    visitor.page.setDefaultTimeout(60_000);
    visitor.page.on("pageerror", (error) => visitor.problems.push(`error: ${error.message}`));
    visitor.page.on("dialog", (dialog) => {
      visitor.problems.push(`a script of the text ran: ${dialog.message()}`);
      dialog.dismiss();
    });
    visitor.page.on("console", (message) => {
      if (/Content Security Policy|Trusted/i.test(message.text()))
        visitor.problems.push(`policy: ${message.text()}`);
    });
    await visitor.page.goto(url);
    return visitor;
  }

  // The tiny model ends when it likes; with these fields it says `max_tokens` tokens.
  async limit(max_tokens, more = {}) {
    await this.page.unroute("**/v1/chat/completions");
    await this.page.route("**/v1/chat/completions", (route) => {
      const body = { ...route.request().postDataJSON(), max_tokens, ignore_eos: true, ...more };
      this.requests.push(route.request().postDataJSON());
      return route.continue({ postData: JSON.stringify(body) });
    });
  }

  // Answers in the model's place: a piece is a text or a whole delta.
  async play(...pieces) {
    const chunk = (delta, finish_reason = null) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    const body =
      chunk({ role: "assistant", content: "" }) +
      pieces
        .map((piece) => chunk(piece.length === undefined ? piece : { content: piece }))
        .join("") +
      chunk({}, "stop") +
      "data: [DONE]\n\n";
    await this.page.unroute("**/v1/chat/completions");
    await this.page.route("**/v1/chat/completions", (route) =>
      route.fulfill({ contentType: "text/event-stream", body }),
    );
  }

  async send(text) {
    await this.page.fill("#input", text);
    await this.page.press("#input", "Enter");
  }

  // Sends and waits for the whole answer; its text.
  async say(text) {
    const n = await this.page.locator(".message.user").count();
    await this.send(text);
    await this.page.waitForFunction(
      (n) =>
        document.querySelectorAll(".message.user").length > n &&
        document.querySelector(".message.assistant:last-child .facts + .actions"),
      n,
    );
    return this.lastText();
  }

  async waitUntilIdle() {
    await this.page.waitForSelector("body:not(.running)");
  }

  last() {
    return this.page.locator(".message").last();
  }

  lastText() {
    return this.last().locator(".body").innerText();
  }

  texts() {
    return this.page.locator(".message .body").allTextContents(); // also of those out of sight
  }

  titles() {
    return this.page.locator("#chats a").allInnerTexts();
  }

  // Nothing is wider than the window.
  async assertFits() {
    const [content, window] = await this.page.evaluate(() => [
      Math.max(document.documentElement.scrollWidth, document.getElementById("scroll").scrollWidth),
      document.documentElement.clientWidth,
    ]);
    assert.ok(content <= window, `${content} px of content in a window of ${window} px`);
  }

  async close() {
    assert.deepEqual(this.problems, []);
    await this.context.close();
  }
}
