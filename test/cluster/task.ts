import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url)); // from dist/test/cluster
export const CLI = `${ROOT}dist/program/cli.js`;
export const SAMPLES = `${ROOT}samples/cluster`;
const RSS = `${ROOT}test/bench/rss.mjs`;

export interface TaskEnd {
  /** The status, or the name of the signal. */
  readonly end: number | string;
  readonly seconds: number;
  /** Of a task that was not killed. */
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
  readonly stderr: string;
}

/** A run of llq as a process of its own. */
export class Task {
  readonly child: ChildProcess;
  readonly done: Promise<TaskEnd>;

  constructor(args: readonly string[]) {
    const started = performance.now();
    this.child = spawn(process.execPath, ["--import", RSS, CLI, ...args], {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    this.done = this.#end(started);
  }

  async #end(started: number): Promise<TaskEnd> {
    const { child } = this;
    const ended = new Promise<number | string>((resolve) =>
      child.on("exit", (code, signal) => resolve(signal ?? code ?? "?")),
    );
    const [end, stderr, told] = await Promise.all([
      ended,
      text(child.stderr!),
      text(child.stdio[3] as NodeJS.ReadableStream),
    ]);
    const seconds = (performance.now() - started) / 1000;
    const { cpuMicroseconds = 0, maxRssKib = 0 } = told === "" ? {} : JSON.parse(told);
    return { end, seconds, cpuSeconds: cpuMicroseconds / 1e6, peakRssBytes: maxRssKib * 1024, stderr };
  }
}

/** Runs llq to its end. @throws when that is a bad one */
export async function runLlq(args: readonly string[]): Promise<TaskEnd> {
  const ended = await new Task(args).done;
  if (ended.end !== 0) throw new Error(`llq ${args.join(" ")} ended with ${ended.end}: ${ended.stderr}`);
  return ended;
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 22 })) hash.update(piece);
  return hash.digest("hex");
}

/** What all checks share. */
export interface Ground {
  /** A checkpoint of 1.1 G random weights. */
  readonly model: string;
  /** For whatever they write. */
  readonly scratch: string;
  /** SHA-256 of what one run of `quantize --bits 4` writes, made when first asked for. */
  readonly whole: () => Promise<string>;
}

export function quantizeArgs({ model }: Ground, output: string, part?: string, threads = "1"): string[] {
  const args = ["quantize", model, "-o", output, "--bits", "4", "--threads", threads, "-q"];
  return part === undefined ? args : [...args, "--part", part];
}

/** @throws when they are not the same */
export async function expectWhole(ground: Ground, output: string): Promise<void> {
  const [found, wanted] = [await sha256(output), await ground.whole()];
  if (found !== wanted) throw new Error(`${output} has sha256 ${found}, one run's is ${wanted}`);
}
