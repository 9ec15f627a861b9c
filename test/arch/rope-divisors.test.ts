import { expect, test } from "vitest";
import { ropeDivisors } from "../../src/arch/numbers/rope-divisors.js";

// rope_freqs.weight by llama.cpp's converter (0c1e57098, torch 2.15.0) where it is neither 1 nor the factor, from the pair on.

// biome-ignore format: columns
test.each<[model: string, dimensions: number, factor: number, first: number, blended: number[]]>([
  ["Llama 3.1 8B", 128, 8,  29, [1.2074838876724243, 1.5534145832061768, 2.026313066482544, 2.6945300102233887, 3.684253215789795, 5.257327079772949]],
  ["Llama 3.2 1B", 64,  32, 15, [1.6513292789459229, 3.2922627925872803, 9.666730880737305]],
])("%s", (_, dimensions, factor, first, blended) => {
  const scaling = { rope_type: "llama3", factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
  const config = { max_position_embeddings: 131072, rope_scaling: scaling };
  const divisors = ropeDivisors(config, { dimensions, base: 500000 }).get("rope_freqs.weight");
  const behind = dimensions / 2 - first - blended.length;
  expect(divisors).toEqual([...Array(first).fill(1), ...blended, ...Array(behind).fill(factor)]);
});
