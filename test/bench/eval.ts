import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatBytes } from "../../src/ui.js";
import type { LlamaShape } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { load, measureLlq, measureProgram, medianAndRange, printTable } from "./measure.js";

/** About 0.4 G weights. */
const SHAPE: LlamaShape = { hidden: 1024, layers: 24, heads: 16, kvHeads: 8, ffn: 4096, vocab: 32000 };
const TEXT = fileURLToPath(new URL("../../../samples/text.txt", import.meta.url)); // from dist/test/bench
const CONTEXT = 512;
const CHUNKS = 4;
/** Runs of each program, in turns: who else is on the machine slows now one and now the other. */
const RUNS = 5;

interface Speed {
  readonly ppl: number;
  readonly tokensPerSecond: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

/**
 * Whole runs of `llq eval-ppl` on a synthetic model, beside llama-perplexity on the same file, text and number of
 * threads where `llamaCpp` names the folder of a build.
 */
export function benchEval(
  types: readonly string[],
  llamaCpp?: string,
  options: readonly string[] = [],
): void {
  const scratch = mkdtempSync(join(tmpdir(), "llq-bench-"));
  const threads = availableParallelism();
  try {
    const model = join(scratch, "model");
    writeSynthetic(model, SHAPE);
    const rows = types.map((type) => {
      const file = join(scratch, `${type}.gguf`);
      measureLlq(["quantize", model, "-o", file, "--type", type, "--json"]);
      const own: Speed[] = [];
      const other: Speed[] = [];
      for (let run = 0; run < RUNS; run++) {
        own.push(runLlq(file, threads, options));
        if (llamaCpp !== undefined) other.push(runLlamaPerplexity(llamaCpp, file, threads));
      }
      rmSync(file);
      return row(type, own, other);
    });
    console.log(
      `\nllq ${["eval-ppl", ...options].join(" ")}, ${CHUNKS} chunks of ${CONTEXT} tokens, 0.4 G weights, ${threads} threads, ${load()}`,
    );
    const columns = ["type", "best tokens/s", "CPU time", "peak RSS", "perplexity"];
    const theirs = [
      "llama-perplexity tokens/s",
      "its CPU time",
      "its perplexity",
      "ratio of the best",
      "median of the pairs (range)",
    ];
    printTable([...columns, ...theirs], rows);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function runLlq(file: string, threads: number, options: readonly string[]): Speed {
  const args = ["eval-ppl", file, TEXT, "--context", `${CONTEXT}`, "--chunks", `${CHUNKS}`];
  const { stdout, cpuSeconds, peakRssBytes } = measureLlq([
    ...args,
    ...options,
    "-j",
    `${threads}`,
    "--json",
  ]);
  const { perplexity, tokensPerSecond } = JSON.parse(stdout);
  return { ppl: perplexity, tokensPerSecond, cpuSeconds, peakRssBytes };
}

/** From its log: the last estimate, and the time of a pass over as many chunks as it takes at once, here all. */
function runLlamaPerplexity(folder: string, file: string, threads: number): Speed {
  const args = ["-m", file, "-f", TEXT, "-c", `${CONTEXT}`, "--chunks", `${CHUNKS}`, "-t", `${threads}`];
  const { log, cpuSeconds } = measureProgram(join(folder, "llama-perplexity"), args);
  const ppl = log.match(/Final estimate: PPL = ([\d.]+)/)?.[1];
  const seconds = log.match(/([\d.]+) seconds per pass/)?.[1];
  if (ppl === undefined || seconds === undefined || !log.includes(`n_seq=${CHUNKS}`))
    throw new Error(`llama-perplexity said: ${log.slice(-1000)}`);
  const tokensPerSecond = (CHUNKS * CONTEXT) / Number(seconds);
  return { ppl: Number(ppl), tokensPerSecond, cpuSeconds, peakRssBytes: 0 };
}

/** The best speed and the least processor time of several runs. */
function best(speeds: readonly Speed[]): Speed {
  const of = (name: keyof Speed) => speeds.map((speed) => speed[name]);
  return {
    ...speeds[0]!,
    tokensPerSecond: Math.max(...of("tokensPerSecond")),
    cpuSeconds: Math.min(...of("cpuSeconds")),
    peakRssBytes: Math.max(...of("peakRssBytes")),
  };
}

function row(type: string, runs: readonly Speed[], theirRuns: readonly Speed[]): string[] {
  const seconds = (speed: Speed) => `${speed.cpuSeconds.toFixed(1)} s`;
  const own = best(runs);
  const cells = [type, own.tokensPerSecond.toFixed(1), seconds(own), formatBytes(own.peakRssBytes)];
  if (theirRuns.length === 0) return [...cells, own.ppl.toFixed(2), "-", "-", "-", "-", "-"];
  const other = best(theirRuns);
  const ratios = runs.map((run, i) => run.tokensPerSecond / theirRuns[i]!.tokensPerSecond);
  return [
    ...cells,
    own.ppl.toFixed(2),
    other.tokensPerSecond.toFixed(1),
    seconds(other),
    other.ppl.toFixed(2),
    (own.tokensPerSecond / other.tokensPerSecond).toFixed(2),
    medianAndRange(ratios, 2),
  ];
}
