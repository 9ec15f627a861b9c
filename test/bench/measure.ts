import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url)); // from dist/test/bench
const CLI = `${ROOT}dist/src/cli.js`;
const RSS = `${ROOT}test/bench/rss.mjs`;

export interface Measured {
  readonly stdout: string;
  readonly seconds: number;
  /** Of the whole process: V8, WebAssembly memories and all threads. */
  readonly peakRssBytes: number;
}

/** Runs `llq` as a user would and measures the process from outside. */
export function measureLlq(args: readonly string[]): Measured {
  return measureNode([CLI, ...args]);
}

/** What Node itself takes before it does anything. */
export function emptyNodeRss(): number {
  return measureNode(["-e", "0"]).peakRssBytes;
}

function measureNode(args: readonly string[]): Measured {
  const started = performance.now();
  const run = spawnSync(process.execPath, ["--import", RSS, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit", "pipe"],
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - started) / 1000;
  if (run.status !== 0) throw new Error(`${args.join(" ")} ended with status ${run.status}`);
  return { stdout: run.stdout, seconds, peakRssBytes: Number(run.output[3]) * 1024 };
}

/** The least of several timings of `work`, in seconds, after one that warms up. */
export function bestOf(runs: number, work: () => void): number {
  work();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const started = performance.now();
    work();
    best = Math.min(best, performance.now() - started);
  }
  return best / 1000;
}

/** The same in processor time of this process: what else runs on the machine counts for less. */
export function bestCpuOf(runs: number, work: () => void): number {
  work();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const started = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(started);
    best = Math.min(best, user + system);
  }
  return best / 1e6;
}
