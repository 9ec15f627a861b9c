// `npm run page -- [chromium] [folder]`: draws pages of made-up comparisons in both languages, has a browser lay them out at
// 390 and 1440 pixels, light and dark, and fails where a text of a chart covers another or leaves its chart. Screenshots of
// all are left in the folder, to be looked at. Needs Chromium, so it is no part of CI.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { useLanguage } from "../../src/language/catalogue.js";
import { LANGUAGES } from "../../src/language/language.js";
import { comparisonPage } from "../../src/report/html/page.js";
import { reportOf, someFiles } from "../report/comparisons.js";

const [chromium = "chromium", target = "dist/pages"] = process.argv.slice(2);
const folder = resolve(target);

type Answer = Readonly<Record<string, unknown>>;

/** Says a command of the DevTools protocol, and waits for its answer. */
type Say = (method: string, params?: Answer) => Promise<Answer>;

/** A browser's address for its DevTools, which it says when it has started. */
function startBrowser(): Promise<{ address: string; stop: () => void }> {
  const profile = mkdtempSync(join(tmpdir(), "llq-page-"));
  const flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-port=0"];
  const browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, "about:blank"]);
  return new Promise((done, fail) => {
    let said = "";
    browser.on("error", fail);
    browser.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      const [, address] = /listening on (ws:\S+)/.exec(said) ?? [];
      if (address !== undefined) done({ address, stop: () => browser.kill() });
    });
  });
}

async function openTab(address: string): Promise<Say> {
  const { host } = new URL(address);
  const answer = await fetch(`http://${host}/json/new?about:blank`, { method: "PUT" });
  const { webSocketDebuggerUrl } = (await answer.json()) as { webSocketDebuggerUrl: string };
  const socket = new WebSocket(webSocketDebuggerUrl);
  await new Promise((done) => socket.addEventListener("open", done, { once: true }));
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result: Answer };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  let last = 0;
  return (method, params = {}) =>
    new Promise((done) => {
      waiting.set(++last, done);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
}

/** Runs in the page: which texts cover another of their chart, or leave it, by more than a hair. */
const FIND = `(() => {
  const found = [];
  for (const svg of document.querySelectorAll("figure svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => ({ name: text.textContent, box: text.getBoundingClientRect() }));
    texts.forEach(({ name, box }, i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.push(name + " leaves " + svg.querySelector("title").textContent);
      for (const other of texts.slice(0, i)) {
        const width = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
        const height = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
        // Lines of text have room above and below their letters.
        if (width > 1 && height > 4) found.push(name + " covers " + other.name);
      }
    });
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider than the screen");
  return found;
})()`;

async function look(say: Say, file: string, width: number, scheme: string): Promise<readonly string[]> {
  const height = 1000;
  await say("Emulation.setDeviceMetricsOverride", {
    width,
    height,
    deviceScaleFactor: 1,
    mobile: width < 500,
  });
  const features = [{ name: "prefers-color-scheme", value: scheme }];
  await say("Emulation.setEmulatedMedia", { features });
  await say("Page.navigate", { url: pathToFileURL(file).href });
  const ready =
    "new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))";
  await say("Runtime.evaluate", { expression: ready, awaitPromise: true });
  const { result } = await say("Runtime.evaluate", { expression: FIND, returnByValue: true });
  const { data } = await say("Page.captureScreenshot", { captureBeyondViewport: true });
  writeFileSync(file.replace(/html$/, `${width}-${scheme}.png`), Buffer.from(String(data), "base64"));
  return (result as { value: readonly string[] }).value;
}

mkdirSync(folder, { recursive: true });
const browser = await startBrowser();
const say = await openTab(browser.address);
let failures = 0;
let looks = 0;
const made = { date: new Date("2026-11-30T10:05:00Z"), machine: "a machine that nobody has × 8" };
for (const language of LANGUAGES) {
  useLanguage(language);
  for (const [count, seed] of [
    [1, 1],
    [5, 4],
    [9, 2],
    [12, 3],
  ] as const) {
    const file = join(folder, `${language}-${count}.html`);
    writeFileSync(file, comparisonPage(reportOf(someFiles(count, seed)), made));
    for (const width of [390, 1440]) {
      for (const scheme of ["light", "dark"]) {
        looks++;
        const found = await look(say, file, width, scheme);
        for (const what of found) process.stderr.write(`${file}, ${width} px, ${scheme}: ${what}\n`);
        if (found.length > 0) failures++;
      }
    }
  }
}
browser.stop();
process.stdout.write(`${looks - failures} passed, ${failures} failed; screenshots are in ${folder}\n`);
process.exit(failures > 0 ? 1 : 0);
