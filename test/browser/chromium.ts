import { existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Where a Chromium is, on the PATH; undefined when there is none. */
export function findChromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** A browser off the record: what pages keep is in memory. */
export async function launch(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("no chromium on the PATH");
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** A browser with a profile on the disk, as people have one. */
export async function launchProfile(profile: string): Promise<BrowserContext> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("no chromium on the PATH");
  return chromium.launchPersistentContext(profile, { executablePath, args: ["--no-sandbox"] });
}

/** A page of the tests, which tells of what goes wrong in it. */
export async function openPage(browser: Browser | BrowserContext, url: string): Promise<Page> {
  const page = await ("newContext" in browser ? await browser.newContext() : browser).newPage();
  page.on("pageerror", (error) => console.error(`page: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`page: ${message.text()}`);
  });
  await page.goto(url);
  return page;
}

export interface Failed {
  readonly failed: {
    readonly code?: string;
    readonly message: string;
    readonly hint?: string;
    readonly kind?: string;
  };
}

/** Calls a function of page/worker.js; a failure is given, not thrown. */
export async function attempt<T>(page: Page, name: string, args: object = {}): Promise<T | Failed> {
  return page.evaluate(([name, args]) => (globalThis as unknown as Attempts).attempt(name, args), [
    name,
    args,
  ] as const) as Promise<T | Failed>;
}

interface Attempts {
  attempt(name: string, args: object): Promise<unknown>;
  picked(id: string): unknown;
}

/** The same where a failure is an error. */
export async function call<T>(page: Page, name: string, args: object = {}): Promise<T> {
  const result = await attempt<T>(page, name, args);
  if (typeof result === "object" && result !== null && "failed" in result) {
    throw new Error(`${name}: ${JSON.stringify(result.failed)}`);
  }
  return result as T;
}

/** Has the page pick a folder, and opens it as a model. */
export async function addFolder<T = { readonly byteLength: number }>(
  page: Page,
  folder: string,
  as: string,
): Promise<T | Failed> {
  await page.bringToFront(); // files are handed to the page in front alone
  await page.locator("#folder").setInputFiles(folder);
  return page.evaluate((as) => {
    const { attempt, picked } = globalThis as unknown as Attempts;
    return attempt("add", { input: picked("folder"), as });
  }, as) as Promise<T | Failed>;
}

/** Bytes that all processes of a browser have to themselves, and their shares of what they have in common. */
export function memoryOf(marker: string): number {
  let sum = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(marker)) continue;
      const [, kilobytes] = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
      sum += Number(kilobytes ?? 0) * 1024;
    } catch {
      // ended meanwhile
    }
  }
  return sum;
}
