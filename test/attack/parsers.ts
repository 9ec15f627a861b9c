import { Worker } from "node:worker_threads";
import { LISTS } from "./lists.js";
import type { Outcome, Work } from "./parser-worker.js";

/** How long one input may be under way before its thread is ended. */
const HANG_MS = 20_000;

/** Damages every format of a list, `count` inputs in all; returns what went wrong. A thread may take 300 MB, and no longer. */
export async function attackParsers(
  count: number,
  seed: number,
  list: keyof typeof LISTS = "parsers",
): Promise<string[]> {
  const targets = LISTS[list];
  const each = Math.ceil(count / targets.length);
  const failures: string[] = [];
  let total = 0;
  for (const [target, { name }] of targets.entries()) {
    const state = new Int32Array(new SharedArrayBuffer(4));
    const outcome = await runThread({ list, target, seed, count: each, state });
    if (typeof outcome === "string") {
      failures.push(`${name}: seed ${Atomics.load(state, 0)}: ${outcome}`);
      continue;
    }
    const { accepted, refused, slowest } = outcome;
    total += accepted + refused;
    failures.push(...outcome.failures);
    console.log(
      `${name}: ${refused} refused, ${accepted} accepted and sound, the slowest ${slowest.toFixed(0)} ms`,
    );
  }
  console.log(`${total} inputs for ${targets.length} formats`);
  return failures;
}

function runThread(workerData: Work): Promise<Outcome | string> {
  return new Promise((resolve) => {
    const limits = { maxOldGenerationSizeMb: 300 };
    const worker = new Worker(new URL("./parser-worker.js", import.meta.url), {
      workerData,
      resourceLimits: limits,
    });
    let last = Number.NaN;
    const watch = setInterval(() => {
      const now = Atomics.load(workerData.state, 0);
      if (now === last) {
        resolve("hangs");
        void worker.terminate();
      }
      last = now;
    }, HANG_MS);
    worker.once("message", resolve);
    worker.once("error", (error) => resolve(String(error)));
    worker.once("exit", () => clearInterval(watch));
  });
}
