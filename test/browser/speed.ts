import { join } from "node:path";
import { writeSynthetic } from "../synthetic.js";
import type { Check } from "./check.js";
import { addFolder, call, launchProfile, memoryOf, openPage } from "./chromium.js";
import { inNode, sha256Of } from "./node-side.js";
import { serve } from "./serve.js";

/** 491 MB in BF16. */
const SHAPE = { hidden: 2048, layers: 4, heads: 32, kvHeads: 8, ffn: 5632, vocab: 16000 };
const THREADS = 2;
const ROUNDS = 3;
const MOST_MEMORY = 400e6;
const LEAST_SPEED = 0.8;

interface Quantized {
  readonly sha256: string;
  readonly seconds: number;
  readonly all: number;
}

/** A folder of 491 MB: how fast beside Node's library with as many threads, in turns, and in how much memory. */
export async function speed(folder: string): Promise<Check[]> {
  const model = join(folder, "synthetic");
  writeSynthetic(model, SHAPE);
  const served = await serve(true);
  const profile = join(folder, "profile");
  const browser = await launchProfile(profile);
  const checks: Check[] = [];
  try {
    const page = await openPage(browser, served.url);
    const empty = memoryOf(profile);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, memoryOf(profile));
    }, 500);
    await addFolder(page, model, "source");
    for (const type of ["Q4_K_M", "Q8_0"]) {
      const output = join(folder, `${type}.gguf`);
      const [here, there]: [Quantized[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        const job = { do: "quantize", model, type, output, threads: THREADS };
        there.push(inNode<{ seconds: number }>(job).seconds);
        const target = { kind: "opfs", name: `${type}.gguf` };
        const args = { model: "source", type, target, threads: THREADS, force: true };
        here.push(await call<Quantized>(page, "quantize", args));
      }
      const ratios = there.map((seconds, i) => seconds / here[i]!.seconds).sort((a, b) => a - b);
      const ratio = ratios[Math.floor(ROUNDS / 2)]!;
      const shown = (all: readonly number[]) => all.map((seconds) => `${seconds.toFixed(2)} s`).join(", ");
      checks.push({
        what: `${type} at ${LEAST_SPEED} of Node's speed or more`,
        holds: ratio >= LEAST_SPEED,
        found: `${ratio.toFixed(2)} (Node ${shown(there)}; Chromium ${shown(here.map(({ seconds }) => seconds))}, with its SHA-256 ${shown(here.map(({ all }) => all))})`,
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
