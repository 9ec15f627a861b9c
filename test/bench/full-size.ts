// usage: npm run bench:7b [-- generate --folder <dir> --threads n --chunks n]
// The whole way of a 7B checkpoint (13.5 GB of BF16, random weights): quantize in one pass, verify, inspect, eval-ppl,
// each step with its time and memory, and with a limit of memory where control groups can be made. With "generate": what
// llq generate takes with a long context instead.

import { mkdirSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatBytes } from "../../src/ui.js";
import { PRESETS } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { createMemoryGroup } from "./cgroup.js";
import { benchFullContext } from "./full-size-generate.js";
import { load, measureLlq, printTable } from "./measure.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    folder: { type: "string", default: tmpdir() },
    threads: { type: "string", default: "2" },
    chunks: { type: "string", default: "2" },
  },
});

const TEXT = fileURLToPath(new URL("../../../samples/text.txt", import.meta.url)); // from dist/test/bench
const FREE_BYTES = 20e9;
const GIB = 2 ** 30;
const CONTEXT = 512;
const MODEL_BYTES = 13.48e9;

interface Step {
  readonly name: string;
  readonly args: readonly string[];
  /** Of memory, where it can be enforced. */
  readonly limit: number;
  /** Read and written by the step. */
  readonly bytes: () => number;
  /** What its JSON says of note. */
  readonly note?: (json: string) => string;
}

function main(): void {
  const { folder, threads, chunks } = values;
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < FREE_BYTES) {
    const [free, needed] = [formatBytes(bavail * bsize), formatBytes(FREE_BYTES)];
    console.error(`${folder} has ${free} of free disk, ${needed} are needed; --folder names another`);
    process.exit(5);
  }
  const scratch = mkdtempSync(join(folder, "llq-bench-7b-"));
  const cleanUp = () => rmSync(scratch, { recursive: true, force: true });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      cleanUp();
      process.exit(130);
    });
  }
  try {
    if (positionals.includes("generate")) {
      head();
      benchFullContext(scratch, threads);
      return;
    }
    const model = join(scratch, "model");
    const started = performance.now();
    writeSynthetic(model, PRESETS["llama-7b"]);
    const seconds = (performance.now() - started) / 1000;
    const made = [
      `synthetic checkpoint`,
      `${seconds.toFixed(0)} s`,
      "-",
      "-",
      "-",
      speed(MODEL_BYTES, seconds),
      "",
    ];
    const rows = steps(model, join(scratch, "q4_k_m.gguf"), threads, chunks).map(runStep);
    head();
    console.log(`7B Llama, 13.5 GB of BF16 in shards, ${threads} threads`);
    const columns = ["step", "wall time", "CPU time", "peak RSS", "memory limit", "bytes/s", ""];
    printTable(columns, [made, ...rows]);
  } finally {
    cleanUp();
  }
}

function head(): void {
  const date = new Date().toISOString().slice(0, 10);
  console.log(`${date}, Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, ${load()}`);
}

function steps(model: string, file: string, threads: string, chunks: string): Step[] {
  const size = () => statSync(file).size;
  const j = ["-j", threads];
  const evaluation = ["eval-ppl", file, TEXT, "--context", `${CONTEXT}`, "--chunks", chunks];
  return [
    {
      name: "quantize to Q4_K_M",
      args: ["quantize", model, "-o", file, "--type", "Q4_K_M", ...j],
      limit: GIB,
      bytes: () => MODEL_BYTES + size(),
    },
    {
      name: "verify",
      args: ["verify", file, "--source", model, ...j],
      limit: GIB,
      bytes: () => MODEL_BYTES + size(),
    },
    { name: "inspect", args: ["inspect", file], limit: GIB, bytes: () => 0 },
    {
      name: `eval-ppl, ${chunks} chunks of ${CONTEXT}`,
      args: [...evaluation, ...j, "--json"],
      limit: 2 * GIB,
      bytes: size,
      note: (json) => `${((Number(chunks) * CONTEXT) / JSON.parse(json).seconds).toFixed(1)} tokens/s`,
    },
  ];
}

/** A row of the table; a step that fails has one too, and makes the exit status 1. */
function runStep({ name, args, limit, bytes, note }: Step): string[] {
  console.error(`${name} ...`);
  const group = createMemoryGroup(limit);
  const limited = group === undefined ? "none" : formatBytes(limit);
  try {
    const { stdout, seconds, cpuSeconds, peakRssBytes } = measureLlq(args, group);
    return [
      name,
      `${seconds.toFixed(0)} s`,
      `${cpuSeconds.toFixed(0)} s`,
      formatBytes(peakRssBytes),
      limited,
      bytes() === 0 ? "-" : speed(bytes(), seconds),
      note?.(stdout) ?? "",
    ];
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    return [name, "-", "-", "-", limited, "-", "failed"];
  } finally {
    group?.remove();
  }
}

function speed(bytes: number, seconds: number): string {
  return `${(bytes / seconds / 1e6).toFixed(0)} MB/s`;
}

main();
