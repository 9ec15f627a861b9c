import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatBytes, formatTable } from "../../src/ui.js";
import { type LlamaShape, writeSynthetic } from "../synthetic.js";
import { measureLlq } from "./measure.js";

/** About 0.4 G weights. */
const SHAPE: LlamaShape = { hidden: 1024, layers: 24, heads: 16, kvHeads: 8, ffn: 4096, vocab: 32000 };
const TEXT = fileURLToPath(new URL("../../../samples/text.txt", import.meta.url)); // from dist/test/bench
const CONTEXT = 512;
const CHUNKS = 4;
/** Runs of each program, in turns; the best counts. */
const RUNS = 2;

interface Speed {
  readonly ppl: number;
  readonly tokensPerSecond: number;
  readonly peakRssBytes: number;
}

/**
 * Whole runs of `llq eval-ppl` on a synthetic model, beside llama-perplexity on the same file, text and number of
 * threads where `llamaCpp` names the folder of a build.
 */
export function benchEval(types: readonly string[], llamaCpp?: string): void {
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
        own.push(runLlq(file, threads));
        if (llamaCpp !== undefined) other.push(runLlamaPerplexity(llamaCpp, file, threads));
      }
      rmSync(file);
      return row(type, fastest(own), other.length > 0 ? fastest(other) : undefined);
    });
    console.log(`\nllq eval-ppl, ${CHUNKS} chunks of ${CONTEXT} tokens, 0.4 G weights, ${threads} threads`);
    const columns = ["type", "tokens/s", "peak RSS", "perplexity"];
    console.log(formatTable([...columns, "llama-perplexity tokens/s", "its perplexity", "ratio"], rows));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function runLlq(file: string, threads: number): Speed {
  const args = [
    "eval-ppl",
    file,
    TEXT,
    "--context",
    `${CONTEXT}`,
    "--chunks",
    `${CHUNKS}`,
    "-j",
    `${threads}`,
  ];
  const { stdout, peakRssBytes } = measureLlq([...args, "--json"]);
  const { perplexity, tokensPerSecond } = JSON.parse(stdout);
  return { ppl: perplexity, tokensPerSecond, peakRssBytes };
}

/** From its log: "[4]35.3024," at the end of a chunk, and the time of all prompts. */
function runLlamaPerplexity(folder: string, file: string, threads: number): Speed {
  const args = ["-m", file, "-f", TEXT, "-c", `${CONTEXT}`, "--chunks", `${CHUNKS}`, "-t", `${threads}`];
  const { stdout, stderr } = spawnSync(join(folder, "llama-perplexity"), args, { encoding: "utf8" });
  const log = stdout + stderr;
  const ppl = log.match(/Final estimate: PPL = ([\d.]+)/)?.[1];
  const milliseconds = log.match(/prompt eval time =\s*([\d.]+) ms/)?.[1];
  if (ppl === undefined || milliseconds === undefined)
    throw new Error(`llama-perplexity said: ${log.slice(-1000)}`);
  return {
    ppl: Number(ppl),
    tokensPerSecond: (CHUNKS * CONTEXT * 1000) / Number(milliseconds),
    peakRssBytes: 0,
  };
}

function fastest(speeds: readonly Speed[]): Speed {
  return speeds.reduce((best, speed) => (speed.tokensPerSecond > best.tokensPerSecond ? speed : best));
}

function row(type: string, own: Speed, other: Speed | undefined): string[] {
  const cells = [type, own.tokensPerSecond.toFixed(1), formatBytes(own.peakRssBytes), own.ppl.toFixed(2)];
  if (other === undefined) return [...cells, "-", "-", "-"];
  const ratio = own.tokensPerSecond / other.tokensPerSecond;
  return [...cells, other.tokensPerSecond.toFixed(1), other.ppl.toFixed(2), ratio.toFixed(2)];
}
