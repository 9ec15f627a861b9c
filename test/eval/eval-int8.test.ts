import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { type ComparedModel, compareModels } from "../../src/eval/compare/compare-models.js";
import {
  evaluatePerplexity,
  type Perplexity,
  type PerplexityOptions,
} from "../../src/eval/perplexity/perplexity.js";
import { type Products, pairVectors, untriedProducts } from "../../src/kernels/products.js";
import { type Model, openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const chosen = vi.hoisted(() => ({ products: undefined as Products | undefined, isForced: false }));
vi.mock("../../src/net/products/products.js", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/net/products/products.js")>();
  return {
    ...original,
    chooseProducts: () => (chosen.isForced ? chosen.products : original.chooseProducts("evaluation")),
  };
});

pairVectors();
const folder = scratchFolder();
const source = openModel(TINY_LLAMA);
const text = createTokenizer(source.vocab).encode(
  readFileSync(new URL("../../samples/text.txt", import.meta.url), "utf8"),
);
const models = new Map<string, Model>();
/** Milliseconds: machines that test are busy. */
const SETUP_TIMEOUT = 120_000;

// Q4_K_M has Q4_K and Q6_K, so every layout for blocks of 256; Q8_0 has quants that only some machines multiply.
beforeAll(async () => {
  for (const type of ["Q8_0", "Q4_0", "Q4_K_M"]) {
    const file = join(folder, `${type}.gguf`);
    await execute(planQuantize(source, findRecipe(type)), file);
    models.set(type, openModel(file));
  }
}, SETUP_TIMEOUT);

async function evaluate(type: string, options: PerplexityOptions): Promise<Omit<Perplexity, "seconds">> {
  const result = await evaluatePerplexity(models.get(type)!, text, { bos: 1, context: 256, ...options });
  const { seconds, tokensPerSecond, ...values } = result;
  return { ...values, tokensPerSecond: 0 };
}

/** See golden/make/runtime.py. */
interface Golden {
  readonly context: number;
  readonly chunks: number;
  readonly types: Readonly<
    Record<string, { readonly perplexity: [number, number]; readonly kld: [number, number] }>
  >;
}

describe("equals llama-perplexity, and its --kl-divergence, on the quantized samples/tiny-llama", () => {
  const golden: Golden = JSON.parse(
    readFileSync(new URL("../golden/runtime/tiny-llama.json", import.meta.url), "utf8"),
  );
  const { context, chunks, types } = golden;
  const found = new Map<string, ComparedModel>();

  beforeAll(async () => {
    const files: Model[] = [];
    for (const type of Object.keys(types)) {
      const file = join(folder, `all-${type}.gguf`);
      await execute(planQuantize(source, findRecipe(type)), file);
      files.push(openModel(file));
    }
    const result = await compareModels(source, files, text, { context, chunks, bos: 1 });
    expect(result.activations).toBe("int8");
    for (const [i, type] of Object.keys(types).entries()) found.set(type, result.candidates[i]!);
  }, SETUP_TIMEOUT);

  // Rounding to int8 makes much of little: two builds of llama.cpp differ by up to 0.09 % on the same file.
  test.each(Object.entries(types))("%s", (type, { perplexity, kld }) => {
    const { ppl, divergence } = found.get(type)!;
    expect(Math.abs(ppl.value / perplexity[0] - 1)).toBeLessThan(1e-3);
    // llama.cpp rounds the activations that BF16 meets, ours stay f32; the model is stored in BF16.
    if (/F(16|32)$/.test(type)) expect(Math.abs(divergence.kld.value)).toBeLessThan(1e-6);
    else expect(Math.abs(divergence.kld.value / kld[0] - 1)).toBeLessThan(0.02);
  });
});

test("f32 activations are another matter", async () => {
  const [int8, f32] = [
    await evaluate("Q4_0", { chunks: 2 }),
    await evaluate("Q4_0", { chunks: 2, activations: "f32" }),
  ];
  expect(f32.ppl).not.toBe(int8.ppl);
  expect(Math.abs(f32.ppl / int8.ppl - 1)).toBeLessThan(5e-3);
});

describe("the result is the same, to the bit", () => {
  const options = { context: 64, chunks: 5 };

  test.each(["Q8_0", "Q4_0", "Q4_K_M"])("for every number of threads: %s", async (type) => {
    const expected = await evaluate(type, { ...options, threads: 0 });
    for (const threads of [1, 2, 4]) expect(await evaluate(type, { ...options, threads })).toEqual(expected);
  });

  test.each(["Q8_0", "Q4_0", "Q4_K_M"])("for every module this engine may use: %s", async (type) => {
    chosen.isForced = true;
    try {
      const untried = untriedProducts("evaluation").map((products) => ({ ...products, wide: false }));
      const results = [];
      for (const products of [undefined, ...untried]) {
        chosen.products = products;
        results.push(await evaluate(type, { ...options, threads: 1 }));
      }
      for (const result of results) expect(result).toEqual(results[0]);
    } finally {
      chosen.isForced = false;
    }
  });
});
