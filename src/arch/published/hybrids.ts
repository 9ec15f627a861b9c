import type { PublishedFamily } from "./published.js";

/** Of layers numbered from 0, which have attention. */
function withAttention(layers: number, attention: readonly number[], other: string): string[] {
  return Array.from({ length: layers }, (_, i) => (attention.includes(i) ? "full_attention" : other));
}

const GRANITE = {
  architectures: ["GraniteMoeHybridForCausalLM"],
  rms_norm_eps: 1e-5,
  position_embedding_type: "nope",
  tie_word_embeddings: true,
  layer_types: withAttention(40, [5, 15, 25, 35], "mamba"),
  mamba_d_state: 128,
  mamba_n_groups: 1,
  num_hidden_layers: 40,
  vocab_size: 100352,
  max_position_embeddings: 131072,
};

const NEMOTRON = {
  architectures: ["NemotronHForCausalLM"],
  head_dim: 128,
  ssm_state_size: 128,
  n_groups: 8,
  vocab_size: 131072,
  tie_word_embeddings: false,
};

const LFM2 = {
  norm_eps: 1e-5,
  conv_L_cache: 3,
  rope_theta: 1e6,
  vocab_size: 65536,
  max_position_embeddings: 128000,
};

/** Models with state spaces or convolutions beside attention; test/golden/make/fit_hybrids.py says whose numbers they are. */
// biome-ignore format: columns
export const PUBLISHED_HYBRIDS: readonly PublishedFamily[] = [
  {
    base: GRANITE,
    fields: ["hidden_size", "num_attention_heads", "num_key_value_heads", "mamba_n_heads", "num_local_experts", "num_experts_per_tok", "intermediate_size", "shared_intermediate_size"],
    models: {
      "granite-4.0-h-tiny":  [1536, 12, 4, 48,  64, 6,  512, 1024],
      "granite-4.0-h-small": [4096, 32, 8, 128, 72, 10, 768, 1536],
    },
  },
  {
    base: { ...NEMOTRON, hybrid_override_pattern: "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-" },
    fields: ["hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size", "mamba_num_heads", "mamba_head_dim"],
    models: {
      "nemotron-nano-9b-v2": [4480, 40, 8, 15680, 128, 80],
    },
  },
  {
    base: { ...NEMOTRON, hybrid_override_pattern: "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", norm_topk_prob: true, routed_scaling_factor: 2.5, n_shared_experts: 1 },
    fields: ["hidden_size", "num_attention_heads", "num_key_value_heads", "mamba_num_heads", "mamba_head_dim", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "moe_shared_expert_intermediate_size"],
    models: {
      "nemotron-3-nano-30b-a3b": [2688, 32, 2, 64, 64, 128, 6, 1856, 3712],
    },
  },
  {
    base: { ...LFM2, architectures: ["Lfm2ForCausalLM"], full_attn_idxs: [2, 5, 8, 10, 12, 14], block_multiple_of: 256, block_auto_adjust_ff_dim: true },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "block_ff_dim"],
    models: {
      "lfm2-1.2b": [2048, 16, 32, 8, 12288],
    },
  },
  {
    base: { ...LFM2, architectures: ["Lfm2MoeForCausalLM"], layer_types: withAttention(24, [2, 6, 10, 14, 18, 21], "conv"), use_expert_bias: true, norm_topk_prob: true, num_dense_layers: 2 },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "moe_intermediate_size", "num_experts", "num_experts_per_tok"],
    models: {
      "lfm2-8b-a1b": [2048, 24, 32, 8, 7168, 1792, 32, 4],
    },
  },
  {
    base: { architectures: ["FalconH1ForCausalLM"], rms_norm_eps: 1e-5, rope_theta: 1e11, mamba_n_groups: 1, mamba_rms_norm: false },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size", "mamba_d_ssm", "mamba_n_heads", "mamba_d_state", "vocab_size", "max_position_embeddings"],
    models: {
      "falcon-h1-0.5b": [1024, 36, 8, 2, 64, 2048, 1536, 24, 128, 32784, 16384],
    },
  },
  {
    base: { architectures: ["JambaForCausalLM"] },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "num_experts", "num_experts_per_tok", "vocab_size", "max_position_embeddings"],
    models: {
      "jamba-v0.1": [4096, 32, 32, 8, 14336, 16, 2, 65536, 262144],
    },
  },
  {
    base: { architectures: ["KimiLinearForCausalLM"], layer_types: withAttention(27, [3, 7, 11, 15, 19, 23, 26], "linear_attention") },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "moe_intermediate_size", "num_experts", "num_experts_per_token", "vocab_size", "model_max_length"],
    models: {
      "kimi-linear-48b-a3b": [2304, 27, 32, 9216, 1024, 256, 8, 163840, 1048576],
    },
  },
];
