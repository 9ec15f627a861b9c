import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { scratchFolder } from "./scratch.js";

// Perplexities that llama.cpp and other programs gave for public models, which are too large or not free to be
// in this repository: LLQ_SHARED names the folder that has them.
const shared = process.env["LLQ_SHARED"] ?? "";
const data = (...path: string[]) => join(shared, "data", ...path);
const CLI = new URL("../dist/src/cli.js", import.meta.url).pathname;
const folder = scratchFolder();

function llq(...args: string[]): string {
  const run = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
  expect(run.stderr + run.status).toBe("0");
  return run.stdout;
}

function perplexity(model: string, text: string, ...options: string[]): number {
  return JSON.parse(llq("eval-ppl", model, text, "--json", "--activations", "f32", ...options)).perplexity;
}

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

  // Of the weights alone, and as llama.cpp's CPU multiplies (a build whose Q4_0 and Q4_1 were wrong).
  // biome-ignore format: rows
  const types: [type: string, weights: number, tolerance: number, runtime: number | undefined][] = [
    ["F32",    35.302,  0.002,  35.3024],
    ["Q8_0",   35.306,  0.005,  35.3201],
    ["Q6_K",   35.3726, 0.005,  35.4229],
    ["Q5_K_M", 35.6524, 0.005,  35.6841],
    ["Q5_0",   35.92,   0.005,  35.9448],
    ["Q5_1",   36.1678, 0.005,  36.1581],
    ["Q4_K_M", 37.0009, 0.005,  37.0513],
    ["IQ4_XS", 38.5753, 0.005,  38.5661],
    ["Q4_0",   38.43,   0.03,   undefined],
    ["Q4_1",   37.7913, 0.005,  undefined],
    ["Q3_K_M", 41.0395, 0.005,  41.1146],
    ["Q2_K",   66.2148, 0.01,   66.411],
  ];
  test.each(types)("the widened TinyStories-656K in %s", (type, weights, tolerance, runtime) => {
    const output = join(folder, `${type}.gguf`);
    llq("quantize", wide, "-o", output, "--type", type);
    const exact = perplexity(output, charset, ...twenty, "--activations", "f32");
    expect(Math.abs(exact - weights)).toBeLessThanOrEqual(tolerance);
    if (runtime === undefined) return;
    expect(Math.abs(perplexity(output, charset, ...twenty) / runtime - 1)).toBeLessThanOrEqual(1e-3);
  });

  test("tiny-llama on WikiText-2", () => {
    const text = data("eval/wikitext2/wiki.test.raw");
    const ppl = perplexity(data("samples/tiny-llama"), text, "--context", "256", "--chunks", "40");
    expect(Math.abs(ppl / 71.7314 - 1)).toBeLessThanOrEqual(1e-4);
  });
});
