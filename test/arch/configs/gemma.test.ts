import { expect, test } from "vitest";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { readHParams } from "../../../src/arch/hparams.js";
import { architectureOfConfig } from "../../../src/arch/index.js";

// What Google's config.json and report say of the models: scores are divided by the root of query_pre_attn_scalar. GGUF has
// no key for it: llama.cpp goes by the layers, and by embedding / heads of the largest models.
const GEMMA_2 = { architectures: ["Gemma2ForCausalLM"], vocab_size: 256000, max_position_embeddings: 8192 };
const GEMMA_3 = { architectures: ["Gemma3ForCausalLM"], vocab_size: 262208, max_position_embeddings: 131072 };
const COMMON = {
  sliding_window: 1024,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: "gelu_pytorch_tanh",
};

// biome-ignore format: columns
const MODELS: [name: string, config: object, shape: number[], divisor: number][] = [
  // layers, embedding, heads, of keys and values, width of a head, feed-forward, query_pre_attn_scalar
  ["Gemma 2 2B",  GEMMA_2, [26, 2304, 8,  4,  256, 9216,  256], 16],
  ["Gemma 2 9B",  GEMMA_2, [42, 3584, 16, 8,  256, 14336, 256], 16],
  ["Gemma 2 27B", GEMMA_2, [46, 4608, 32, 16, 128, 36864, 144], 12],
  ["Gemma 3 4B",  GEMMA_3, [34, 2560, 8,  4,  256, 10240, 256], 16],
  ["Gemma 3 27B", GEMMA_3, [62, 5376, 32, 16, 128, 21504, 168], 168 ** 0.5],
];

test.each(MODELS)(
  "%s: scores are divided as in transformers, and no key says so",
  (_, base, shape, divisor) => {
    const [layers, embd, heads, kv, head, ffn, scalar] = shape;
    const config = {
      ...base,
      ...COMMON,
      ...{
        num_hidden_layers: layers,
        hidden_size: embd,
        num_attention_heads: heads,
        num_key_value_heads: kv,
      },
      ...{ head_dim: head, intermediate_size: ffn, query_pre_attn_scalar: scalar },
    };
    const architecture = architectureOfConfig("config.json", config);
    const { keys } = architecture.read("config.json", config);
    expect(keys.map(([key]) => key)).not.toContain("attention.scale");
    const metadata = new Map([
      ["general.architecture", meta.string(architecture.name)],
      ...keys.map(([key, field]) => [`${architecture.name}.${key}`, field] as const),
    ]);
    const { layers: found } = architecture.decoder(readHParams("x", metadata));
    expect(found).toHaveLength(layers!);
    for (const [i, { mixer }] of found.entries()) {
      const { scale, window } = mixer as { scale?: number; window?: number };
      expect(scale! * divisor).toBeCloseTo(1, 6);
      // transformers' layer_types of configurations without: every second of Gemma 2 and every sixth of Gemma 3 sees all.
      expect(window === undefined).toBe((i + 1) % (base === GEMMA_2 ? 2 : 6) === 0);
    }
  },
);

test("a Gemma of the same layers as the largest and of another scale has a key of its own", () => {
  const config = {
    ...GEMMA_2,
    ...COMMON,
    ...{ num_hidden_layers: 46, hidden_size: 4608, num_attention_heads: 32, num_key_value_heads: 16 },
    ...{ head_dim: 128, intermediate_size: 36864, query_pre_attn_scalar: 128 },
  };
  const { keys } = architectureOfConfig("config.json", config).read("config.json", config);
  expect(new Map(keys).get("attention.scale")?.value).toBeCloseTo(128 ** -0.5, 7);
});
