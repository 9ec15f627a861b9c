import { spawnSync } from "node:child_process";
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
  });

  test.each([
    ["F32", 35.302, 0.002],
    ["Q8_0", 35.306, 0.005],
    ["Q4_0", 38.43, 0.03],
  ])("the widened TinyStories-656K in %s", (type, expected, tolerance) => {
    const output = join(folder, `${type}.gguf`);
    llq(
      "quantize",
      data("weights/TinyStories-656K-wide256-gguf/model-f32.gguf"),
      "-o",
      output,
      "--type",
      type,
    );
    expect(Math.abs(perplexity(output, charset, ...twenty) - expected)).toBeLessThanOrEqual(tolerance);
  });

  test("tiny-llama on WikiText-2", () => {
    const text = data("eval/wikitext2/wiki.test.raw");
    const ppl = perplexity(data("samples/tiny-llama"), text, "--context", "256", "--chunks", "40");
    expect(Math.abs(ppl / 71.7314 - 1)).toBeLessThanOrEqual(1e-4);
  });
});
