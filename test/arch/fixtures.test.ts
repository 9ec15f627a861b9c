import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { evaluatePerplexity } from "../../src/eval/perplexity/perplexity.js";
import { openModel } from "../../src/model.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";

// GGUF files of random weights, and the perplexities that llama-perplexity (February 2025) printed for them. They are
// too large for this repository: LLQ_SHARED names the folder that has them.
const shared = process.env["LLQ_SHARED"] ?? "";
const fixture = (name: string) => join(shared, "data", "fixtures", name);

/**
 * Relative tolerance: eight digits were printed, f32 has seven. Where llama.cpp takes GELU from a table of f16, 2e-5.
 * MPT and Falcon have the exact GELU, which llama.cpp has not: their values are those of golden/make/fixtures_gelu.py.
 */
const F32 = 2e-7;
const GELU = 2e-5;
/** 32 layers of f32; the same in f64 gives 2145.72360. */
const DEEP = 5e-7;
// biome-ignore format: columns
const PERPLEXITIES: readonly [file: string, perplexity: number, tolerance: number][] = [
  ["llama_gqa",         2652.2351, F32],
  ["llama_tied",        9331.4784, F32],
  ["llama31_ropefreqs", 2503.9167, F32],
  ["mixtral",           2093.0236, F32],
  ["baichuan7",         2145.7237, DEEP],
  ["baichuan13_alibi",  1940.5234, F32],
  ["internlm2",         3955.5331, F32],
  ["chatglm23",         1819.7576, F32],
  ["glm4_ratio",        3877.5193, F32],
  ["qwen1",             1795.8218, F32],
  ["qwen2",             1109.7305, F32],
  ["gpt2",              2544.2856, GELU],
  ["mpt",               9618.1031, F32],
  ["mamba",           521456.8038, 1e-6], // logits up to 36
  ["falcon7",           4933.6123, F32],
];

describe.skipIf(shared === "")("perplexities of fixtures (needs LLQ_SHARED)", () => {
  const text = shared === "" ? "" : readFileSync(fixture("text.txt"), "utf8");
  test.each(PERPLEXITIES)("%s", async (file, perplexity, tolerance) => {
    const model = openModel(fixture(`${file}.gguf`));
    const tokens = createTokenizer(model.vocab).encode(text);
    const bos = model.vocab.addBos ? model.vocab.special.bos : undefined;
    const { ppl } = await evaluatePerplexity(model, tokens, {
      context: 128,
      bos,
      activations: "f32",
      threads: 0,
    });
    expect(Math.abs(ppl / perplexity - 1)).toBeLessThanOrEqual(tolerance);
  });
});
