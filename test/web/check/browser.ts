import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { rolldown } from "rolldown";
import type { Scenario } from "./stand-in.js";

/** The text of the worker that plays the engine; what it plays comes before it. */
export async function bundleStandIn(): Promise<(scenario: Scenario) => string> {
  const entry = new URL("stand-in-worker.js", import.meta.url).pathname;
  const bundle = await rolldown({ input: entry, logLevel: "silent" });
  const { output } = await bundle.generate({ format: "esm" });
  return (scenario) => `globalThis.SCENARIO = ${JSON.stringify(scenario)};\n${output[0].code}`;
}

/** axe-core's text, which runs in the page. */
export function axeSource(): string {
  return readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
}

/** How the page is looked at. */
export interface Manner {
  readonly locale: "en-US" | "zh-CN";
  readonly scheme: "light" | "dark";
  readonly width: 390 | 1440;
}

export function newContext(browser: Browser, { locale, scheme, width }: Manner): Promise<BrowserContext> {
  return browser.newContext({
    locale,
    colorScheme: scheme,
    viewport: { width, height: width === 390 ? 844 : 900 },
    reducedMotion: "reduce",
    acceptDownloads: true,
    bypassCSP: true, // axe-core is put into the page as text
  });
}

/** The page with the stand-in for its engine. Anything it asks of another host is a fault. */
export async function openPlayed(
  context: BrowserContext,
  address: string,
  worker: string,
  faults: string[],
): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.route("**/*", (route) => {
    const url = route.request().url();
    if (!url.startsWith(address) && !url.startsWith("blob:") && !url.startsWith("data:")) {
      faults.push(`asks for ${url}`);
      return route.abort();
    }
    if (/\/worker-[\w-]+\.js$/.test(url)) {
      // A worker of an isolated page must be isolated itself.
      const headers = { "cross-origin-embedder-policy": "require-corp", "content-type": "text/javascript" };
      return route.fulfill({ headers, body: worker });
    }
    return route.continue();
  });
  page.on("pageerror", (error) => faults.push(`throws ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`says ${message.text()}`);
  });
  await page.addInitScript(() => {
    Object.assign(window, {
      // The dialog of the system is out of a script's reach; a file of the browser's own storage has the same methods.
      showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true }),
    });
  });
  await page.goto(address);
  return page;
}
