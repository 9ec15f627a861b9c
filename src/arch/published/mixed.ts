import type { PublishedFamily } from "./published.js";

const SHAPE = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
];
const LATENT = ["q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"];
const EXPERTS = [
  "n_routed_experts",
  "num_experts_per_tok",
  "moe_intermediate_size",
  "n_shared_experts",
  "first_k_dense_replace",
  "n_group",
  "topk_group",
  "routed_scaling_factor",
];
const QWEN_3_5 = {
  ...{ vocab_size: 248320, max_position_embeddings: 262144, rms_norm_eps: 1e-6, head_dim: 256 },
  ...{ linear_conv_kernel_dim: 4, linear_key_head_dim: 128, linear_value_head_dim: 128 },
  ...{ linear_num_key_heads: 16, full_attention_interval: 4 },
  rope_parameters: { rope_type: "default", rope_theta: 1e7, partial_rotary_factor: 0.25 },
};

/** `layers` kinds, of which every fourth is the last. */
function everyFourth<T>(layers: number, usual: T, fourth: T): T[] {
  return Array.from({ length: layers }, (_, i) => ((i + 1) % 4 === 0 ? fourth : usual));
}

/** Models of 2025 and 2026 whose layers differ, as published.ts has the others; golden/make/published_table.py says by whom. */
// biome-ignore format: columns
export const PUBLISHED_MIXED: readonly PublishedFamily[] = [
  {
    base: { architectures: ["DeepseekV3ForCausalLM"], rms_norm_eps: 1e-6, vocab_size: 129280, max_position_embeddings: 163840, norm_topk_prob: true },
    fields: [...SHAPE, ...LATENT, ...EXPERTS],
    models: {
      "deepseek-v3": [7168, 61, 128, 128, 18432, 1536, 512, 128, 64, 128, 256, 8, 2048, 1, 3, 8, 4, 2.5],
    },
  },
  {
    base: { architectures: ["Glm4MoeLiteForCausalLM"], rms_norm_eps: 1e-5, vocab_size: 154880, max_position_embeddings: 202752, norm_topk_prob: true },
    fields: [...SHAPE, ...LATENT, ...EXPERTS],
    models: {
      "glm-4.7-flash": [2048, 47, 20, 20, 10240, 768, 512, 192, 64, 256, 64, 4, 1536, 1, 1, 1, 1, 1.8],
    },
  },
  {
    base: { ...QWEN_3_5, architectures: ["Qwen3_5ForCausalLM"] },
    fields: [...SHAPE, "linear_num_value_heads"],
    models: {
      "qwen3.5-9b":  [4096, 32, 16, 4, 12288, 32],
      "qwen3.5-27b": [5120, 64, 24, 4, 17408, 48],
    },
  },
  {
    base: { ...QWEN_3_5, architectures: ["Qwen3_5MoeForCausalLM"], linear_num_value_heads: 32 },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "num_experts", "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size"],
    models: {
      "qwen3.6-35b-a3b": [2048, 40, 16, 2, 256, 8, 512, 512],
    },
  },
  {
    base: { architectures: ["Ministral3ForCausalLM"], model_type: "ministral3", rms_norm_eps: 1e-5, head_dim: 128, vocab_size: 131072, max_position_embeddings: 262144 },
    fields: SHAPE,
    models: {
      "ministral-3-8b": [4096, 34, 32, 8, 14336],
    },
  },
  {
    base: { architectures: ["SmolLM3ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 5e6, vocab_size: 128256, max_position_embeddings: 65536, tie_word_embeddings: true, no_rope_layers: everyFourth(36, 1, 0) },
    fields: SHAPE,
    models: {
      "smollm3-3b": [2048, 36, 16, 4, 11008],
    },
  },
  {
    base: { architectures: ["Olmo3ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 5e5, vocab_size: 100278, max_position_embeddings: 65536, sliding_window: 4096, layer_types: everyFourth(32, "sliding_attention", "full_attention") },
    fields: SHAPE,
    models: {
      "olmo-3-7b": [4096, 32, 32, 32, 11008],
    },
  },
  {
    base: { architectures: ["Llama4ForCausalLM"], rms_norm_eps: 1e-5, rope_theta: 5e5, head_dim: 128, vocab_size: 202048, max_position_embeddings: 131072, num_experts_per_tok: 1, interleave_moe_layer_step: 1, use_qk_norm: true, attention_chunk_size: 8192, floor_scale: 8192, attn_scale: 0.1, no_rope_layers: everyFourth(48, 1, 0) },
    fields: [...SHAPE, "intermediate_size_mlp", "num_local_experts"],
    models: {
      "llama-4-scout": [5120, 48, 40, 8, 8192, 16384, 16],
    },
  },
];
