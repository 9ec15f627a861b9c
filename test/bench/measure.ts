import { spawnSync } from "node:child_process";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { formatTable } from "../../src/ui.js";
import type { MemoryGroup } from "./cgroup.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url)); // from dist/test/bench
const CLI = `${ROOT}dist/program/cli.js`;
const RSS = `${ROOT}test/bench/rss.mjs`;

export interface Measured {
  readonly stdout: string;
  readonly seconds: number;
  /** Processor time of all threads: what else runs on the machine counts for less than in `seconds`. */
  readonly cpuSeconds: number;
  /** Of the whole process: V8, WebAssembly memories and all threads. */
  readonly peakRssBytes: number;
}

/** Runs `llq` as a user would and measures the process from outside; in a group of its own, if one is given. */
export function measureLlq(args: readonly string[], group?: MemoryGroup): Measured {
  return measureNode([CLI, ...args], group);
}

/** What Node itself takes before it does anything. */
export function emptyNodeRss(): number {
  return measureNode(["-e", "0"]).peakRssBytes;
}

function measureNode(args: readonly string[], group?: MemoryGroup): Measured {
  const started = performance.now();
  const node = [process.execPath, "--import", RSS, ...args];
  const enter = ["-c", 'echo $$ > "$0" && exec "$@"', group?.procs ?? "", ...node];
  const [program, programArgs] = group === undefined ? [node[0]!, node.slice(1)] : ["sh", enter];
  const run = spawnSync(program, programArgs, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit", "pipe"],
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - started) / 1000;
  if (run.status !== 0)
    throw new Error(`${args.join(" ")} ended with ${run.signal ?? `status ${run.status}`}`);
  const { maxRssKib, cpuMicroseconds } = JSON.parse(run.output[3]!);
  return { stdout: run.stdout, seconds, cpuSeconds: cpuMicroseconds / 1e6, peakRssBytes: maxRssKib * 1024 };
}

/** Of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Of ratios of pairs, an odd number: the median, the least and the largest. */
export function medianAndRange(ratios: readonly number[], digits: number): string {
  const sorted = ratios.toSorted((a, b) => a - b);
  const [median, least, most] = [sorted[sorted.length >> 1], sorted[0], sorted.at(-1)].map((ratio) =>
    ratio!.toFixed(digits),
  );
  return `${median} (${least} to ${most})`;
}

/** What a program of another project took. */
export interface MeasuredProgram {
  /** stdout and stderr. */
  readonly log: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Runs a program; a shell says how much processor time it took. */
export function measureProgram(program: string, args: readonly string[]): MeasuredProgram {
  const started = performance.now();
  const script = '"$0" "$@" 2>&1; status=$?; times; exit $status';
  const { stdout, status } = spawnSync("sh", ["-c", script, program, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${program} ended with status ${status}: ${stdout.slice(-1000)}`);
  const lines = stdout.trimEnd().split("\n");
  const ofChildren = lines.pop()!;
  const parts = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuSeconds = parts.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return { log: lines.join("\n"), seconds, cpuSeconds };
}

/** What else wants the machine's processors, on average over the last minute: to be printed beside a figure. */
export function load(): string {
  return `load ${loadavg()[0]!.toFixed(1)}`;
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

/** Columns of numbers to the right, on standard output. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(formatTable(header, rows).join("\n"));
}
