import type { PublishedFamily } from "./published.js";

const SHAPE = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
];
const GEMMA_4 = {
  architectures: ["Gemma4ForConditionalGeneration"],
  ...{ head_dim: 256, global_head_dim: 512, final_logit_softcapping: 30 },
  ...{ vocab_size: 262144, vocab_size_per_layer_input: 262144, rms_norm_eps: 1e-6 },
};

/** Which of `layers` have a window: all but every so manieth. */
function windows(layers: number, period: number): string[] {
  const type = (i: number) => ((i + 1) % period === 0 ? "full_attention" : "sliding_attention");
  return Array.from({ length: layers }, (_, i) => type(i));
}

const GEMMA_3N = {
  architectures: ["Gemma3nForConditionalGeneration"],
  ...{ head_dim: 256, final_logit_softcapping: 30, sliding_window: 512, max_position_embeddings: 32768 },
  ...{ vocab_size: 262400, vocab_size_per_layer_input: 262144, rms_norm_eps: 1e-6 },
};

/** Gemma 3n and 4, by the configurations in transformers' scripts that convert Google's checkpoints. */
// biome-ignore format: columns
export const PUBLISHED_GEMMA: readonly PublishedFamily[] = [
  {
    base: GEMMA_3N,
    fields: [...SHAPE, "num_kv_shared_layers"],
    models: {
      "gemma-3n-e2b": [2048, 30, 8, 2, 8192,  10],
      "gemma-3n-e4b": [2048, 35, 8, 2, 16384, 15],
    },
  },
  {
    base: { ...GEMMA_4, max_position_embeddings: 131072, sliding_window: 512, hidden_size_per_layer_input: 256, layer_types: windows(35, 5) },
    fields: [...SHAPE, "num_kv_shared_layers", "use_double_wide_mlp"],
    models: {
      "gemma-4-e2b": [1536, 35, 8, 1, 6144, 20, true],
    },
  },
  {
    base: { ...GEMMA_4, max_position_embeddings: 131072, sliding_window: 512, hidden_size_per_layer_input: 256, layer_types: windows(42, 6) },
    fields: [...SHAPE, "num_kv_shared_layers", "use_double_wide_mlp"],
    models: {
      "gemma-4-e4b": [2560, 42, 8, 2, 10240, 18, false],
    },
  },
  {
    base: { ...GEMMA_4, max_position_embeddings: 262144, sliding_window: 1024, hidden_size_per_layer_input: 0, attention_k_eq_v: true },
    fields: [...SHAPE, "num_global_key_value_heads"],
    models: {
      "gemma-4-31b": [5376, 60, 32, 16, 21504, 4],
    },
  },
  {
    base: { ...GEMMA_4, max_position_embeddings: 262144, sliding_window: 1024, hidden_size_per_layer_input: 0, attention_k_eq_v: true, enable_moe_block: true },
    fields: [...SHAPE, "num_global_key_value_heads", "num_experts", "top_k_experts", "moe_intermediate_size"],
    models: {
      "gemma-4-26b-a4b": [2816, 30, 16, 8, 2112, 2, 128, 8, 704],
    },
  },
];
