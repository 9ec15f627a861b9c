import type { PublishedFamily } from "./published.js";

const SHAPE = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "head_dim",
  "intermediate_size",
  "vocab_size",
  "max_position_embeddings",
];

/** Mixtures of experts of 2025 and 2026, as published.ts has the others. */
// biome-ignore format: columns
export const PUBLISHED_EXPERTS: readonly PublishedFamily[] = [
  {
    base: { architectures: ["GptOssForCausalLM"], rms_norm_eps: 1e-5, sliding_window: 128, num_experts_per_tok: 4 },
    fields: [...SHAPE, "num_local_experts"],
    models: {
      "gpt-oss-20b":  [2880, 24, 64, 8, 64, 2880, 201088, 131072, 32],
      "gpt-oss-120b": [2880, 36, 64, 8, 64, 2880, 201088, 131072, 128],
    },
  },
  {
    base: { architectures: ["Glm4MoeForCausalLM"], rms_norm_eps: 1e-5, rope_theta: 1e6, attention_bias: true, num_experts_per_tok: 8, n_shared_experts: 1, norm_topk_prob: true },
    fields: [...SHAPE, "n_routed_experts", "moe_intermediate_size", "first_k_dense_replace", "use_qk_norm", "routed_scaling_factor"],
    models: {
      "glm-4.5-air": [4096, 46, 96, 8, 128, 10944, 151552, 131072, 128, 1408, 1, false, 1],
      "glm-4.5":     [5120, 92, 96, 8, 128, 12288, 151552, 131072, 160, 1536, 3, true,  2.5],
      "glm-4.7":     [5120, 92, 96, 8, 128, 12288, 151552, 202752, 160, 1536, 3, true,  2.5],
    },
  },
  {
    base: { architectures: ["MiniMaxM2ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 5e6, rotary_dim: 64, num_experts_per_tok: 8 },
    fields: [...SHAPE, "num_local_experts"],
    models: {
      "minimax-m2": [3072, 62, 48, 8, 128, 1536, 200064, 196608, 256],
    },
  },
];
