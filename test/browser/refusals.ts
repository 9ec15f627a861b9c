import { cpSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { Check } from "./check.js";
import { addFolder, attempt, call, type Failed, launch, openPage } from "./chromium.js";
import { serve } from "./serve.js";

const MODEL = join(import.meta.dirname, "../../../samples/tiny-llama");

/** What a page is told when it cannot be, and that nothing is left behind. */
export async function refusals(folder: string): Promise<Check[]> {
  const served = await serve(true);
  const alone = await serve(false);
  const browser = await launch();
  const checks: Check[] = [];
  const told = (what: string, result: unknown, code: string, words: RegExp) => {
    const { failed } = (typeof result === "object" && result !== null ? result : {}) as Partial<Failed>;
    const holds = failed?.code === code && words.test(`${failed.message} ${failed.hint ?? ""}`);
    checks.push({ what, holds, found: JSON.stringify(failed ?? result) });
  };
  const left = async (what: string, page: Page) => {
    const names = await call<string[]>(page, "list");
    checks.push({ what, holds: names.length === 0, found: JSON.stringify(names) });
  };
  try {
    const page = await openPage(browser, served.url);
    await addFolder(page, MODEL, "source");
    const target = { kind: "opfs", name: "out.gguf" };
    const work = { model: "source", type: "Q4_K_M", target, threads: 1 };

    const stopped = (await attempt(page, "quantize", { ...work, abortAt: 0.2 })) as Failed;
    checks.push({
      what: "cancelled in the midst of it",
      holds: stopped.failed?.kind === "AbortError",
      found: JSON.stringify(stopped.failed),
    });
    await left("nothing is left of it", page);

    const session = await page.context().newCDPSession(page);
    const { origin } = new URL(served.url);
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
    told("no room", await attempt(page, "quantize", work), "no-space", /keeps no more.*remove/);
    await session.send("Storage.overrideQuotaForOrigin", { origin });
    await left("nothing is left of it, either", page);

    const second = await page.context().newPage();
    await second.goto(served.url);
    await addFolder(second, MODEL, "source");
    const both = await Promise.all([attempt(page, "quantize", work), attempt(second, "quantize", work)]);
    const refused = both.filter((each) => "failed" in (each as object));
    told(
      "of two tabs that write one file, one is refused",
      refused.length === 1 ? refused[0] : both,
      "usage",
      /being written by another tab.*wait/,
    );
    told("a name that is taken", await attempt(second, "quantize", work), "usage", /exists already/);
    await call(page, "clean");

    const broken = join(folder, "broken");
    cpSync(MODEL, broken, { recursive: true });
    truncateSync(join(broken, "model.safetensors"), 5_000_000);
    told("a file cut short", await addFolder(page, broken, "broken"), "bad-input", /model\.safetensors/);
    writeFileSync(join(broken, "config.json"), '{"model_type": ');
    told("a damaged config", await addFolder(page, broken, "broken"), "bad-input", /config\.json/);

    const changing = join(folder, "changing");
    cpSync(MODEL, changing, { recursive: true });
    await addFolder(page, changing, "changing");
    const weights = join(changing, "model.safetensors");
    writeFileSync(weights, readFileSync(weights));
    const changed = await attempt(page, "quantize", { ...work, model: "changing" });
    told("a file that changes after it was picked", changed, "bad-input", /file ends.*change/);
    await left("nor of that one", page);

    const lonely = await openPage(browser, alone.url);
    await addFolder(lonely, MODEL, "source");
    const made = await attempt<{ sha256: string }>(lonely, "quantize", work);
    const sha256 = "sha256" in made ? made.sha256 : JSON.stringify(made);
    checks.push({
      what: "without isolation it quantizes",
      holds: /^[0-9a-f]{64}$/.test(sha256),
      found: sha256,
    });
    const text = "a ".repeat(2000);
    told(
      "and says why it does not evaluate",
      await attempt(lonely, "perplexity", { model: "source", text, context: 64 }),
      "unsupported",
      /shares no memory.*Cross-Origin/,
    );
  } finally {
    await browser.close();
    served.close();
    alone.close();
  }
  return checks;
}
