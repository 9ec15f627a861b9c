import { join } from "node:path";
import { writeSynthetic } from "../synthetic.js";
import type { Check } from "./check.js";
import { addFolder, call, launchProfile, memoryOf, openPage } from "./chromium.js";
import { inNode, sha256Of } from "./node-side.js";
import { serve } from "./serve.js";

/** 491 MB in BF16. */
const SHAPE = { hidden: 2048, layers: 4, heads: 32, kvHeads: 8, ffn: 5632, vocab: 16000 };
const THREADS = 2;
const ROUNDS = 5;
const MOST_MEMORY = 400e6;
/** Of Node's speed, by type; that of Q8_0 is what reading and writing take, and is shown alone. */
const LEAST_SPEED: Readonly<Record<string, number>> = { Q4_K_M: 0.8, Q8_0: 0 };

interface Quantized {
  readonly sha256: string;
  readonly seconds: number;
  readonly all: number;
}

/**
 * A folder of 491 MB: how fast beside Node's library with as many threads, in turns, and in how much memory. What counts is the
 * first run of a page, as Node's is of its process: later ones find code that the engine has made better.
 */
export async function speed(folder: string): Promise<Check[]> {
  const model = join(folder, "synthetic");
  writeSynthetic(model, SHAPE);
  const served = await serve(true);
  const profile = join(folder, "profile");
  const browser = await launchProfile(profile);
  const checks: Check[] = [];
  try {
    await openPage(browser, served.url);
    const empty = memoryOf(profile);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, memoryOf(profile));
    }, 500);
    for (const [type, least] of Object.entries(LEAST_SPEED)) {
      const output = join(folder, `${type}.gguf`);
      const [here, again, there]: [Quantized[], Quantized[], number[]] = [[], [], []];
      for (let round = 0; round < ROUNDS; round++) {
        const job = { do: "quantize", model, type, output, threads: THREADS };
        there.push(inNode<{ seconds: number }>(job).seconds);
        const target = { kind: "opfs", name: `${type}.gguf` };
        const args = { model: "source", type, target, threads: THREADS, force: true };
        const page = await openPage(browser, served.url);
        await addFolder(page, model, "source");
        here.push(await call<Quantized>(page, "quantize", args));
        again.push(await call<Quantized>(page, "quantize", args));
        await page.close();
      }
      const ratioOf = (all: readonly Quantized[]) => {
        const ratios = there.map((seconds, i) => seconds / all[i]!.seconds).sort((a, b) => a - b);
        return ratios[Math.floor(ROUNDS / 2)]!;
      };
      const ratio = ratioOf(here);
      const shown = (all: readonly number[]) => all.map((seconds) => `${seconds.toFixed(2)} s`).join(", ");
      checks.push({
        what: least > 0 ? `${type} at ${least} of Node's speed or more` : `${type} beside Node's speed`,
        holds: ratio >= least,
        found: `${ratio.toFixed(2)}, a page's second run ${ratioOf(again).toFixed(2)} (Node ${shown(there)}; Chromium ${shown(here.map(({ seconds }) => seconds))}, with its SHA-256 ${shown(here.map(({ all }) => all))})`,
      });
      const expected = sha256Of(output);
      checks.push({
        what: `${type} has Node's sha256`,
        holds: here.every(({ sha256 }) => sha256 === expected),
        found: expected,
      });
    }
    clearInterval(watch);
    const above = most - empty;
    checks.push({
      what: "memory above the empty page's",
      holds: above <= MOST_MEMORY,
      found: `${(above / 1e6).toFixed(0)} MB (${(empty / 1e6).toFixed(0)} to ${(most / 1e6).toFixed(0)})`,
    });
  } finally {
    await browser.close();
    served.close();
  }
  return checks;
}
