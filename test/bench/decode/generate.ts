import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { generateBatch } from "../../../src/generate/batch.js";
import type { Engine } from "../../../src/generate/engine.js";
import { generate } from "../../../src/generate/generate.js";
import { loadEngine } from "../../../src/generate/load-engine.js";
import { type Model, openModel } from "../../../src/model.js";
import { PRESETS } from "../../support/shapes.js";
import { writeSynthetic } from "../../synthetic.js";
import { load, measureLlq, measureProgram, median, medianAndRange, printTable } from "../measure.js";

const TYPES = ["Q4_0", "Q4_K_M", "Q8_0"];
const PROMPT = 512;
const DECODED = 32;
/** Sequences at once, and the tokens in front of each. */
const SEQUENCES = 8;
const FRONT = 8;
/** Runs of each program, in turns: who else is on the machine slows now one and now the other. */
const RUNS = 3;
/** Tokens of the run before. */
const WARMING = 4;
const THREADS = availableParallelism();

/** Tokens per second. */
interface Speeds {
  /** Of a prompt of PROMPT tokens, up to the first token behind it. */
  readonly prompt: number;
  /** Of one sequence behind that prompt. */
  readonly decode: number;
  /** Of SEQUENCES together. */
  readonly batch: number;
}

const NAMES: Record<keyof Speeds, string> = {
  prompt: `prompt of ${PROMPT} tokens`,
  decode: `${DECODED} tokens behind it`,
  batch: `${SEQUENCES} sequences at once`,
};

/**
 * What `llq generate` runs with, as many threads as there are cores, and beside it llama-bench and llama-batched-bench
 * where `llamaCpp` names the folder of a build.
 * @param files GGUF; none: a synthetic Llama of 1.1 G weights in several types
 */
export async function benchGenerate(files: readonly string[], llamaCpp?: string): Promise<void> {
  const rows: string[][] = [];
  if (files.length > 0) for (const file of files) rows.push(...(await benchFile(file, llamaCpp)));
  else await withSynthetic(async (file) => rows.push(...(await benchFile(file, llamaCpp))));
  console.log(`\ngenerating, ${THREADS} threads, medians of ${RUNS} runs in turns, tokens/s, ${load()}`);
  const theirs = llamaCpp === undefined ? [] : ["llama.cpp", "median of the ratios (range)"];
  printTable(["file", "what", "llq", ...theirs], rows);
}

async function withSynthetic(use: (file: string) => Promise<unknown>): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "llq-bench-"));
  try {
    const model = join(scratch, "model");
    writeSynthetic(model, PRESETS["llama-1.1b"]);
    for (const type of TYPES) {
      const file = join(scratch, `llama-1.1b-${type}.gguf`);
      measureLlq(["quantize", model, "-o", file, "--type", type, "--json"]);
      await use(file);
      rmSync(file);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function benchFile(file: string, llamaCpp: string | undefined): Promise<string[][]> {
  const own: Speeds[] = [];
  const other: Speeds[] = [];
  const model = openModel(file);
  const context = PROMPT + DECODED + 1;
  const engine = await loadEngine(model, { context, sequences: SEQUENCES, threads: THREADS });
  try {
    await runLlq(engine, model, WARMING); // until then the engine compiles
    for (let run = 0; run < RUNS; run++) {
      own.push(await runLlq(engine, model));
      if (llamaCpp !== undefined) other.push(runLlamaCpp(llamaCpp, file));
    }
  } finally {
    await engine.close();
  }
  return Object.entries(NAMES).map(([key, name]) => {
    const of = (speeds: readonly Speeds[]) => speeds.map((each) => each[key as keyof Speeds]);
    const ratios = of(other).map((theirs, i) => of(own)[i]! / theirs);
    const theirs = llamaCpp === undefined ? [] : [median(of(other)).toFixed(1), medianAndRange(ratios, 2)];
    return [basename(file), name, median(of(own)).toFixed(1), ...theirs];
  });
}

async function runLlq(engine: Engine, { vocab }: Model, decoded = DECODED): Promise<Speeds> {
  const generation = generate(engine, vocab, promptOf(engine, PROMPT, 0), { maxTokens: decoded + 1 });
  for await (const _ of generation);
  const one = generation.generated.timings;
  const prompts = Array.from({ length: SEQUENCES }, (_, i) => promptOf(engine, FRONT, i));
  const results = await generateBatch(engine, vocab, prompts, { maxTokens: decoded + 1 });
  const tokens = results.reduce((sum, { timings }) => sum + timings.decodeTokens, 0);
  const seconds = Math.max(...results.map(({ timings }) => timings.decodeSeconds));
  return {
    prompt: PROMPT / one.promptSeconds,
    decode: one.decodeTokensPerSecond,
    batch: tokens / seconds,
  };
}

/** Any tokens, others for every sequence. */
function promptOf({ vocabSize }: Engine, length: number, sequence: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => (i * 7919 + sequence * 31 + 1) % vocabSize);
}

/** Both programs run once without being timed. */
function runLlamaCpp(folder: string, file: string): Speeds {
  const common = ["-m", file, "-t", `${THREADS}`];
  const bench = (...args: string[]) => {
    const { log } = measureProgram(join(folder, "llama-bench"), [
      ...common,
      ...args,
      "-r",
      "1",
      "-o",
      "jsonl",
    ]);
    return Number(/"avg_ts": ([\d.]+)/.exec(log)?.[1] ?? failed("llama-bench", log));
  };
  const lengths = ["-npp", `${FRONT}`, "-ntg", `${DECODED}`, "-npl", `${SEQUENCES}`];
  const context = ["-c", `${SEQUENCES * 256}`, "--output-format", "jsonl"];
  const { log } = measureProgram(join(folder, "llama-batched-bench"), [...common, ...lengths, ...context]);
  return {
    prompt: bench("-p", `${PROMPT}`, "-n", "0"),
    decode: bench("-p", "0", "-n", `${DECODED}`, "-d", `${PROMPT}`),
    batch: Number(/"speed_tg": ([\d.]+)/.exec(log)?.[1] ?? failed("llama-batched-bench", log)),
  };
}

function failed(program: string, log: string): never {
  throw new Error(`${program} said: ${log.slice(-1000)}`);
}
