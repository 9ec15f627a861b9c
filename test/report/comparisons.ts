import type { ComparedModel, MeasuredModel } from "../../src/eval/compare/compare-models.js";
import { divergenceHistogram } from "../../src/eval/divergence/histogram.js";
import type { ComparisonReport } from "../../src/report/comparison.js";
import { Random } from "../support/random.js";

// Comparisons that nobody made, to draw pages of.

const BASE: MeasuredModel = {
  path: "/home/somebody/models/Qwen3.5-4B",
  fileBytes: 8e9,
  bitsPerWeight: 16,
  types: ["BF16"],
  ppl: { value: 8.1, error: 0.1 },
  tokensPerSecond: 100,
};

/** From 0 to 1. */
const unit = (random: Random) => random.u32() / 2 ** 32;

/** A file that was compared; all numbers are made up. */
export function file(
  name: string,
  fileBytes: number,
  kld: number,
  layers: number,
  random: Random,
): ComparedModel {
  const error = () => kld * (0.5 + unit(random));
  const parts = (["token_embd", ...Array.from({ length: layers }, (_, i) => i), "output"] as const).map(
    (part) => ({
      part: part as number | "token_embd" | "output",
      relativeError: error(),
      tensors: [{ name: `blk.${part}.ffn_down.weight`, dtype: "Q4_K", relativeError: error() }],
    }),
  );
  const divergences = Float64Array.from({ length: 200 }, () => kld * 10 ** (2 * unit(random) - 1.5));
  return {
    ...BASE,
    path: `/home/somebody/models/${name}`,
    fileBytes,
    types: ["Q4_K", "Q6_K"],
    parts,
    histogram: divergenceHistogram(divergences),
    divergence: {
      kld: { value: kld, error: kld / 20, median: kld / 3, max: 9, percentiles: { "99.9": 5 } },
      pplRatio: { value: 1 + kld * (unit(random) + 0.5), error: kld / 10 },
      sameTop: { value: Math.max(0, 1 - 2 * Math.sqrt(kld)), error: 0.01 },
    } as unknown as ComparedModel["divergence"],
  };
}

export function reportOf(candidates: readonly ComparedModel[]): ComparisonReport {
  const result = {
    protocol: { name: "llama-perplexity", context: 512, firstPosition: 255 },
    ...{ activations: "int8", chunks: 20, count: 5120, base: BASE, candidates, seconds: 12 },
  } as ComparisonReport["result"];
  return { text: "/home/somebody/wiki.test.raw", result };
}

/** So many files of a model, some of nearly the same size and loss. */
export function someFiles(count: number, seed: number): ComparedModel[] {
  const random = new Random(seed);
  const layers = [4, 16, 32, 62][seed % 4]!;
  return Array.from({ length: count }, (_, i) => {
    const kld = 10 ** -(0.5 + 2.5 * unit(random));
    const size = seed % 3 === 0 ? 2e9 + 1e7 * unit(random) : 1e9 + 6e9 * unit(random);
    return file(
      `Qwen3.5-4B-${["Q4_K_M", "IQ3_XXS", "MXFP4_MOE", "Q8_0"][i % 4]}-v${i}.gguf`,
      size,
      kld,
      layers,
      random,
    );
  });
}
