import { parentPort, workerData } from "node:worker_threads";
import { LlqError } from "../../formats/errors.js";
import { damaged } from "../support/damage.js";
import { Random } from "../support/random.js";
import { LISTS } from "./lists.js";

/** One target's inputs, seed after seed, in a thread that may be ended when one of them hangs. */
export interface Work {
  /** Which of the lists, and which of it. */
  readonly list: "parsers" | "packed";
  readonly target: number;
  readonly seed: number;
  readonly count: number;
  /** [the seed under way] */
  readonly state: Int32Array;
}

export interface Outcome {
  readonly accepted: number;
  readonly refused: number;
  readonly slowest: number;
  /** Seeds and what went wrong with them. */
  readonly failures: readonly string[];
}

const MAX_MS = 2000;
const MAX_BUFFERS = 300 << 20;

const { list, target, seed, count, state } = workerData as Work;
const { name, samples, parse } = LISTS[list][target]!;
let [accepted, refused, slowest] = [0, 0, 0];
const failures: string[] = [];
for (let i = seed; i < seed + count; i++) {
  Atomics.store(state, 0, i);
  const random = new Random(i);
  const bytes = damaged(random.pick(samples), random);
  const started = performance.now();
  try {
    parse(bytes);
    accepted++;
  } catch (error) {
    if (error instanceof LlqError) refused++;
    else failures.push(`${name}: seed ${i}: ${error instanceof Error ? error.stack : error}`);
  }
  const ms = performance.now() - started;
  slowest = Math.max(slowest, ms);
  if (ms > MAX_MS) failures.push(`${name}: seed ${i}: took ${ms.toFixed(0)} ms`);
  if (i % 64 === 0 && process.memoryUsage().arrayBuffers > MAX_BUFFERS)
    failures.push(`${name}: seed ${i}: buffers`);
}
parentPort!.postMessage({ accepted, refused, slowest, failures } satisfies Outcome);
