import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { meta } from "../../formats/gguf/gguf-write.js";
import { readHParams } from "../../src/arch/hparams.js";
import { architectureOfConfig } from "../../src/arch/index.js";
import { ropeTable } from "../../src/net/mixers/rope.js";

interface Case {
  readonly class: string;
  readonly kind: string;
  readonly context: number;
  readonly config: unknown;
  readonly frequencies: readonly number[];
  readonly magnitude: number;
}

const file = new URL("../golden/rope/rope.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly Case[] };

function tableOf({ config, context }: Case): Float32Array {
  const architecture = architectureOfConfig("config.json", config);
  const { keys, computed } = architecture.read("config.json", config);
  const prefix = architecture.name;
  const hparams = readHParams(
    "config.json",
    new Map([
      ["general.architecture", meta.string(prefix)],
      ...keys.map(([key, field]) => [`${prefix}.${key}`, field] as const),
    ]),
  );
  const length = context > hparams.ropeOriginalContext ? "long" : "short";
  const divisors = computed?.get("rope_freqs.weight") ?? computed?.get(`rope_factors_${length}.weight`);
  return ropeTable(hparams, context, divisors);
}

test("RoPE over more than a head is wide, or an odd number, is refused", () => {
  const numbers = (dimensions: number) =>
    readHParams(
      "x",
      new Map([
        ["general.architecture", meta.string("llama")],
        ...Object.entries({
          ...{
            context_length: 64,
            embedding_length: 64,
            block_count: 1,
            feed_forward_length: 64,
            vocab_size: 64,
          },
          ...{ "attention.head_count": 2, "rope.dimension_count": dimensions },
        }).map(([key, value]) => [`llama.${key}`, meta.u32(value)] as const),
        ["llama.attention.layer_norm_rms_epsilon", meta.f32(1e-5)],
      ]),
    );
  expect(numbers(32).ropeDimensionCount).toBe(32);
  for (const odd of [34, 64, 31]) expect(() => numbers(odd)).toThrow(`RoPE over ${odd} of 32 dimensions`);
});

test.each(cases)("RoPE of $class, $kind, $context tokens, is transformers'", (each) => {
  const table = tableOf(each);
  const pairs = each.frequencies.length;
  expect(table.length).toBe(each.context * pairs * 2);
  for (const position of [0, 1, 17, 255]) {
    for (const [i, frequency] of each.frequencies.entries()) {
      const at = (position * pairs + i) * 2;
      // Frequencies are f32 there: at 255 radians an angle's error is 2e-5.
      expect(table[at]).toBeCloseTo(Math.cos(position * frequency) * each.magnitude, 4);
      expect(table[at + 1]).toBeCloseTo(Math.sin(position * frequency) * each.magnitude, 4);
    }
  }
});
