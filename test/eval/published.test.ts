import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// Perplexities that llama.cpp and other programs gave for public models, which are too large or not free to be
// in this repository: LLQ_SHARED names the folder that has them.
const shared = process.env["LLQ_SHARED"] ?? "";
const data = (...path: string[]) => join(shared, "data", ...path);
const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();

function llq(...args: string[]): string {
  const run = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
  expect(run.stderr + run.status).toBe("0");
  return run.stdout;
}

interface Evaluation {
  readonly perplexity: number;
  readonly divergence: { readonly kld: { readonly value: number } };
}

function evaluate(model: string, text: string, ...options: string[]): Evaluation {
  return JSON.parse(llq("eval-ppl", model, text, "--json", ...options));
}

/** Of the weights alone. */
function perplexity(model: string, text: string, ...options: string[]): number {
  return evaluate(model, text, "--activations", "f32", ...options).perplexity;
}

/** See golden/make/runtime.py. */
interface Golden {
  readonly types: Readonly<
    Record<string, { readonly perplexity: [number, number]; readonly kld: [number, number] }>
  >;
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../golden/runtime/tinystories-wide.json", import.meta.url), "utf8"),
);
const WEIGHTS_TOLERANCE = 2e-4;
/** Rounding to int8 makes much of little: two builds of llama.cpp differ by up to 0.09 % on the same file. */
const RUNTIME_TOLERANCE = 1e-3;

describe.skipIf(shared === "")("perplexities of published models (needs LLQ_SHARED)", () => {
  const charset = data("eval/tinystories/tinystories-train-head.656K-charset.txt");
  const twenty = ["--context", "512", "--chunks", "20"];
  const wide = data("weights/TinyStories-656K-wide256-gguf/model-f32.gguf");

  test("TinyStories-656K, a tied Hugging Face folder, and its conversion", () => {
    const model = data("weights/TinyStories-656K-hf");
    const converted = join(folder, "656k.gguf");
    llq("convert", model, "-o", converted, "--type", "f32");
    const { tensors } = JSON.parse(llq("inspect", converted, "--json"));
    const names = tensors.map(({ name }: { name: string }) => name);
    expect(names).toContain("token_embd.weight");
    expect(names).not.toContain("output.weight");
    const ppl = perplexity(converted, charset, ...twenty);
    expect(Math.abs(ppl - 35.302)).toBeLessThanOrEqual(0.002);
    expect(Math.abs(perplexity(model, charset, ...twenty) / ppl - 1)).toBeLessThanOrEqual(1e-4);
  });

  test("stories260K", () => {
    const text = data("eval/tinystories/tinystories-train-head.317stories.txt");
    const ppl = perplexity(data("weights/stories260K-gguf/stories260K.gguf"), text, ...twenty);
    expect(Math.abs(ppl - 3.7885)).toBeLessThanOrEqual(0.0005);
    expect(perplexity(data("weights/stories260K-bin/stories260K.bin"), text, ...twenty)).toBe(ppl);
  });

  test("a training checkpoint with its optimizer, and the llama2.c file made of it", () => {
    const [pt, bin] = [join(folder, "training"), join(folder, "exported")];
    for (const each of [pt, bin]) {
      mkdirSync(each);
      copyFileSync(data("weights/stories260K-bin/tok512.model"), join(each, "tokenizer.model"));
    }
    copyFileSync(data("weights/llama2xs-ckpt/ckpt.pt"), join(pt, "ckpt.pt"));
    copyFileSync(data("weights/llama2xs-ckpt/model.bin"), join(bin, "model.bin"));
    const text = data("eval/tinystories/tinystories-train-head.317stories.txt");
    const run = ["--context", "256", "--chunks", "20"];
    const ppl = perplexity(join(pt, "ckpt.pt"), text, ...run);
    expect(ppl).toBe(perplexity(join(bin, "model.bin"), text, ...run));
    expect(ppl).toBeLessThan(10); // of a vocabulary of 512
  });

  // Of the weights alone, and as llama.cpp's CPU multiplies (early 2025, AVX-512; its Q4_0 and Q4_1 were wrong).
  // biome-ignore format: rows
  const wideTypes: [type: string, weights: number | undefined, runtime: number | undefined][] = [
    ["F32",    35.3024, 35.3024],
    ["F16",    undefined, undefined],
    ["BF16",   undefined, undefined],
    ["Q8_0",   35.3059, 35.3201],
    ["Q6_K",   35.3726, 35.4229],
    ["Q5_K_M", 35.6524, 35.6841],
    ["Q5_K_S", 35.5356, 35.5508],
    ["Q5_0",   35.9200, 35.9448],
    ["Q5_1",   36.1678, 36.1581],
    ["Q4_K_M", 37.0009, 37.0513],
    ["Q4_K_S", 36.9674, 36.9829],
    ["IQ4_XS", 38.5753, 38.5661],
    ["IQ4_NL", 38.4414, 38.4462],
    ["Q4_0",   38.4287, undefined],
    ["Q4_1",   37.7913, undefined],
    ["Q3_K_M", 41.0395, 41.1146],
    ["Q2_K",   66.2148, 66.4110],
  ];
  test.each(wideTypes)("the widened TinyStories-656K in %s", (type, weights, runtime) => {
    const output = join(folder, `${type}.gguf`);
    llq("quantize", wide, "-o", output, "--type", type);
    const exact = perplexity(output, charset, ...twenty);
    if (weights !== undefined) expect(Math.abs(exact / weights - 1)).toBeLessThan(WEIGHTS_TOLERANCE);
    const int8 = evaluate(output, charset, ...twenty, "--base-model", wide);
    if (runtime !== undefined)
      expect(Math.abs(int8.perplexity / runtime - 1)).toBeLessThan(RUNTIME_TOLERANCE);
    const newer = golden.types[type];
    if (newer === undefined) return;
    expect(Math.abs(int8.perplexity / newer.perplexity[0] - 1)).toBeLessThan(RUNTIME_TOLERANCE);
    // llama.cpp rounds the activations that floats of 16 bits meet; here they stay f32.
    if (/F(16|32)$/.test(type)) expect(Math.abs(int8.divergence.kld.value)).toBeLessThan(1e-6);
    else expect(Math.abs(int8.divergence.kld.value / newer.kld[0] - 1)).toBeLessThan(0.02);
  });

  // biome-ignore format: rows
  const tinyTypes: [type: string, weights: number, runtime: number | undefined][] = [
    ["F32",    71.7314, 71.7314],
    ["Q8_0",   71.7505, 71.7785],
    ["Q6_K",   71.9083, 71.8268],
    ["Q5_K_M", 71.7801, 71.8446],
    ["Q4_K_M", 71.8594, 71.8671],
    ["Q4_K_S", 72.0873, 72.1253],
    ["IQ4_XS", 72.0545, 72.1673],
    ["Q4_0",   72.4042, undefined],
    ["Q3_K_M", 71.3745, 71.5055],
    ["Q2_K",   75.9888, 75.9993],
  ];
  test.each(tinyTypes)("samples/tiny-llama on WikiText-2 in %s", (type, weights, runtime) => {
    const text = data("eval/wikitext2/wiki.test.raw");
    const forty = ["--context", "256", "--chunks", "40"];
    const output = join(folder, `tiny-${type}.gguf`);
    llq("quantize", TINY_LLAMA, "-o", output, "--type", type);
    expect(Math.abs(perplexity(output, text, ...forty) / weights - 1)).toBeLessThan(WEIGHTS_TOLERANCE);
    if (runtime === undefined) return;
    const int8 = evaluate(output, text, ...forty).perplexity;
    expect(Math.abs(int8 / runtime - 1)).toBeLessThan(RUNTIME_TOLERANCE);
  });

  test.each([0, 1])("the first 20 questions of MMLU's anatomy with %i shots, as transformers", (shots) => {
    const path = new URL("../golden/choice/mmlu-anatomy.json", import.meta.url);
    /** See golden/make/mmlu.py; null for questions longer than the context. */
    const expected: (number[] | null)[] = JSON.parse(readFileSync(path, "utf8"))[`${shots} shots`];
    const [dev, file] = ["dev", "test"].map((part) => data("eval/mmlu", part, `anatomy_${part}.csv`));
    const options = ["--dev", dev!, "--shots", `${shots}`, "--limit", `${expected.length}`, "--json"];
    const { questions, skipped } = JSON.parse(llq("eval-choice", TINY_LLAMA, file!, ...options));
    const fitting = expected.filter((scores) => scores !== null);
    expect(skipped).toBe(expected.length - fitting.length);
    expect(questions).toHaveLength(fitting.length);
    for (const [i, scores] of fitting.entries()) {
      scores.forEach((score, option) => {
        expect(Math.abs(questions[i].logLikelihoods[option] - score)).toBeLessThan(5e-5);
      });
    }
  });
});
