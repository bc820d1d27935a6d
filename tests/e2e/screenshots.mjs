// screenshots.mjs CHROMIUM BASE_URL FOLDER - a chat with the model that is loaded, in pictures.
import { openBrowser, Visitor } from "./browser.mjs";

const [chromium, base, folder] = process.argv.slice(2);
const browser = await openBrowser(chromium);
const me = await Visitor.open(browser, base, { viewport: { width: 1180, height: 760 } });
me.page.setDefaultTimeout(900_000); // a model of a billion parameters, on whatever machine this is

const settings = {
  system: "You are a helpful assistant. Keep answers short.",
  ...{ temperature: 0.3, seed: 11, max_tokens: 110 },
};
const questions = [
  "Why is the sky blue?",
  "And why are sunsets red?",
  "Who found that out?",
  "Write a Python function that tells the colour of a wavelength in nanometres.",
];

await me.page.evaluate(
  (settings) => localStorage.setItem("sinkd.settings", JSON.stringify(settings)),
  settings,
);
await me.page.reload();
for (const question of ["What should I cook tonight?", "Ideas for a rainy Sunday"]) {
  await me.page.click("[data-action=new-chat]");
  await me.limit(4);
  await me.say(question);
}
await me.page.unroute("**/v1/chat/completions");
await me.page.click("[data-action=new-chat]");
for (const question of questions) await me.say(question);
await me.page.mouse.move(0, 0);

const shoot = async (name) => {
  await me.page.waitForTimeout(500); // transitions
  await me.page.screenshot({ path: `${folder}/${name}.png` });
};
// The place in the text from which on the model sees it, if there is one yet.
await me.page.evaluate(() =>
  document.querySelector(".horizon")?.scrollIntoView({ block: "center" }),
);
await shoot("light");
await me.page.emulateMedia({ colorScheme: "dark" });
await shoot("dark");
await me.page.setViewportSize({ width: 375, height: 760 });
await me.page.evaluate(() => (document.getElementById("scroll").scrollTop = 1e9));
await shoot("phone");
await me.close();
await browser.close();
