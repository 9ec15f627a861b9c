import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { openModel } from "../../src/model.js";
import { formatBytes } from "../../src/ui.js";
import { PRESETS } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";
import { measureLlq, printTable } from "./measure.js";

const SAMPLE = fileURLToPath(new URL("../../../samples/text.txt", import.meta.url)); // from dist/test/bench
const SHAPES = ["mistral-7b", "chatglm2-6b"] as const;
const CONTEXT = ["--context", "8192", "--kv-type", "q8_0"];
const PROMPT = 7600;
const NEW = 64;

/**
 * `llq generate` with Q4_K_M of two shapes, most of 8192 tokens of q8_0 cache in use: what the process takes at its peak
 * against what `llq fit` says, both llama.cpp's reckoning and llq's own.
 */
export function benchFullContext(scratch: string, threads: string): void {
  const rows = SHAPES.map((name) => {
    console.error(`${name} ...`);
    const [source, file, prompt] = ["source", `${name}.gguf`, "prompt.txt"].map((each) =>
      join(scratch, each),
    );
    writeSynthetic(source!, PRESETS[name]);
    measureLlq(["quantize", source!, "-o", file!, "--type", "Q4_K_M", "-j", threads, "--json"]);
    rmSync(source!, { recursive: true });
    writeFileSync(prompt!, promptFor(file!));
    const fit = measureLlq(["fit", file!, "--memory", "1TB", ...CONTEXT, "-j", threads, "--json"]);
    const asItIs = JSON.parse(fit.stdout).recipes.find(
      (row: { recipe?: string }) => row.recipe === undefined,
    );
    const what = ["generate", file!, "-f", prompt!, "--raw", "-n", `${NEW}`];
    const run = measureLlq([...what, ...CONTEXT, "-j", threads, "--json"]);
    rmSync(file!);
    const { promptTokens, promptTokensPerSecond, decodeTokensPerSecond } = JSON.parse(run.stdout).timings;
    const counts: number[] = [asItIs.totalBytes, asItIs.generate.totalBytes];
    return [
      name,
      `${promptTokens}`,
      promptTokensPerSecond.toFixed(1),
      decodeTokensPerSecond.toFixed(1),
      formatBytes(run.peakRssBytes),
      ...counts.flatMap((bytes) => [formatBytes(bytes), (run.peakRssBytes / bytes).toFixed(3)]),
    ];
  });
  const fits = ["llq fit, llama.cpp", "peak / that", "llq fit, llq generate", "peak / that"];
  const columns = ["Q4_K_M of", "prompt", "tokens/s", "tokens/s behind it", "peak RSS", ...fits];
  printTable(columns, rows);
}

/** Text of about PROMPT tokens. */
function promptFor(file: string): string {
  const text = readFileSync(SAMPLE, "utf8").repeat(2);
  const tokens = modelTokenizer(openModel(file)).encode(text).length;
  return text.slice(0, Math.floor((text.length * PROMPT) / tokens));
}
