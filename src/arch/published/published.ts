/** Models that differ in a few fields of config.json only: what they share, which fields, and their values. */
export interface PublishedFamily {
  readonly base: Readonly<Record<string, unknown>>;
  readonly fields: readonly string[];
  readonly models: Readonly<Record<string, readonly (number | boolean)[]>>;
}

const DECODER = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "num_key_value_heads",
  "intermediate_size",
  "vocab_size",
  "max_position_embeddings",
];
const LLAMA = { architectures: ["LlamaForCausalLM"], rms_norm_eps: 1e-5 };
const llama3 = (factor: number) => ({
  rope_type: "llama3",
  factor,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
});
const CHATGLM = {
  architectures: ["ChatGLMModel"],
  model_type: "chatglm",
  kv_channels: 128,
  layernorm_epsilon: 1e-5,
  add_qkv_bias: true,
  add_bias_linear: false,
  multi_query_attention: true,
  original_rope: true,
  rmsnorm: true,
  post_layer_norm: true,
  apply_residual_connection_post_layernorm: false,
};
const GEMMA = { rms_norm_eps: 1e-6, hidden_act: "gelu_pytorch_tanh" };
const GEMMA_2 = {
  ...GEMMA,
  architectures: ["Gemma2ForCausalLM"],
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};
const GEMMA_3 = {
  ...GEMMA,
  architectures: ["Gemma3ForCausalLM"],
  rope_theta: 1e6,
  rope_local_base_freq: 10000,
  sliding_window_pattern: 6,
};

/** What config.json says in published models, as far as it decides shapes; the context is what it says too. */
// biome-ignore format: columns
export const PUBLISHED: readonly PublishedFamily[] = [
  {
    base: LLAMA,
    fields: DECODER,
    models: {
      "llama-7b":    [4096, 32, 32, 32, 11008, 32000,  2048],
      "llama-13b":   [5120, 40, 40, 40, 13824, 32000,  2048],
      "llama-33b":   [6656, 60, 52, 52, 17920, 32000,  2048],
      "llama-65b":   [8192, 80, 64, 64, 22016, 32000,  2048],
      "llama-2-7b":  [4096, 32, 32, 32, 11008, 32000,  4096],
      "llama-2-13b": [5120, 40, 40, 40, 13824, 32000,  4096],
      "llama-2-70b": [8192, 80, 64, 8,  28672, 32000,  4096],
      "llama-3-8b":  [4096, 32, 32, 8,  14336, 128256, 8192],
      "llama-3-70b": [8192, 80, 64, 8,  28672, 128256, 8192],
      "yi-6b":       [4096, 32, 32, 4,  11008, 64000,  4096],
      "yi-34b":      [7168, 60, 56, 8,  20480, 64000,  4096],
    },
  },
  {
    base: { ...LLAMA, rope_scaling: llama3(8) },
    fields: DECODER,
    models: {
      "llama-3.1-8b":   [4096,  32,  32,  8, 14336, 128256, 131072],
      "llama-3.1-70b":  [8192,  80,  64,  8, 28672, 128256, 131072],
      "llama-3.1-405b": [16384, 126, 128, 8, 53248, 128256, 131072],
    },
  },
  {
    base: { ...LLAMA, rope_scaling: llama3(32), tie_word_embeddings: true },
    fields: [...DECODER, "head_dim"],
    models: {
      "llama-3.2-1b": [2048, 16, 32, 8, 8192, 128256, 131072, 64],
      "llama-3.2-3b": [3072, 28, 24, 8, 8192, 128256, 131072, 128],
    },
  },
  {
    base: { ...LLAMA, architectures: ["MistralForCausalLM"] },
    fields: DECODER,
    models: {
      "mistral-7b-v0.3": [4096, 32, 32, 8, 14336, 32768, 32768],
    },
  },
  {
    base: { ...LLAMA, architectures: ["MistralForCausalLM"], sliding_window: 4096 },
    fields: DECODER,
    models: {
      "mistral-7b-v0.1": [4096, 32, 32, 8, 14336, 32000, 32768],
    },
  },
  {
    base: { ...LLAMA, architectures: ["MixtralForCausalLM"], num_local_experts: 8, num_experts_per_tok: 2 },
    fields: DECODER,
    models: {
      "mixtral-8x7b":  [4096, 32, 32, 8, 14336, 32000, 32768],
      "mixtral-8x22b": [6144, 56, 48, 8, 16384, 32768, 65536],
    },
  },
  {
    base: { architectures: ["Qwen2ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 1e6 },
    fields: [...DECODER, "tie_word_embeddings"],
    models: {
      "qwen2.5-0.5b": [896,  24, 14, 2, 4864,  151936, 32768, true],
      "qwen2.5-1.5b": [1536, 28, 12, 2, 8960,  151936, 32768, true],
      "qwen2.5-3b":   [2048, 36, 16, 2, 11008, 151936, 32768, true],
      "qwen2.5-7b":   [3584, 28, 28, 4, 18944, 152064, 32768, false],
      "qwen2.5-14b":  [5120, 48, 40, 8, 13824, 152064, 32768, false],
      "qwen2.5-32b":  [5120, 64, 40, 8, 27648, 152064, 32768, false],
      "qwen2.5-72b":  [8192, 80, 64, 8, 29568, 152064, 32768, false],
    },
  },
  {
    base: { architectures: ["Qwen3ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 1e6, head_dim: 128 },
    fields: [...DECODER, "tie_word_embeddings"],
    models: {
      "qwen3-0.6b": [1024, 28, 16, 8, 3072,  151936, 40960, true],
      "qwen3-1.7b": [2048, 28, 16, 8, 6144,  151936, 40960, true],
      "qwen3-4b":   [2560, 36, 32, 8, 9728,  151936, 40960, true],
      "qwen3-8b":   [4096, 36, 32, 8, 12288, 151936, 40960, false],
      "qwen3-14b":  [5120, 40, 40, 8, 17408, 151936, 40960, false],
      "qwen3-32b":  [5120, 64, 64, 8, 25600, 151936, 40960, false],
    },
  },
  {
    base: { architectures: ["Qwen3MoeForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 1e6, head_dim: 128, norm_topk_prob: true },
    fields: [...DECODER, "num_experts", "num_experts_per_tok", "moe_intermediate_size"],
    models: {
      "qwen3-30b-a3b":   [2048, 48, 32, 4, 6144,  151936, 40960, 128, 8, 768],
      "qwen3-235b-a22b": [4096, 94, 64, 4, 12288, 151936, 40960, 128, 8, 1536],
    },
  },
  {
    base: { architectures: ["Qwen2MoeForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 1e6, qkv_bias: true },
    fields: [...DECODER, "num_experts", "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size"],
    models: {
      "qwen1.5-moe-a2.7b": [2048, 24, 16, 16, 5632,  151936, 32768, 60, 4, 1408, 5632],
      "qwen2-57b-a14b":    [3584, 28, 28, 4,  18944, 151936, 32768, 64, 8, 2560, 20480],
    },
  },
  {
    base: { architectures: ["QWenLMHeadModel"], layer_norm_epsilon: 1e-6, kv_channels: 128 },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "seq_length"],
    models: {
      "qwen-7b":  [4096, 32, 32, 22016, 151936, 8192],
      "qwen-14b": [5120, 40, 40, 27392, 152064, 2048],
    },
  },
  {
    base: { architectures: ["BaichuanForCausalLM"], rms_norm_eps: 1e-6 },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "model_max_length"],
    models: {
      "baichuan-7b":   [4096, 32, 32, 11008, 64000,  4096],
      "baichuan2-7b":  [4096, 32, 32, 11008, 125696, 4096],
      "baichuan-13b":  [5120, 40, 40, 13696, 64000,  4096],
      "baichuan2-13b": [5120, 40, 40, 13696, 125696, 4096],
    },
  },
  {
    base: { architectures: ["InternLMForCausalLM"], rms_norm_eps: 1e-6, bias: true },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings"],
    models: {
      "internlm-7b": [4096, 32, 32, 11008, 103168, 2048],
    },
  },
  {
    base: { architectures: ["InternLM2ForCausalLM"], rms_norm_eps: 1e-5, rope_theta: 1e6, bias: false },
    fields: DECODER,
    models: {
      "internlm2-7b":  [4096, 32, 32, 8, 14336, 92544, 32768],
      "internlm2-20b": [6144, 48, 48, 8, 16384, 92544, 32768],
    },
  },
  {
    base: { architectures: ["ChatGLMModel"], model_type: "chatglm", position_encoding_2d: true, layernorm_epsilon: 1e-5 },
    fields: ["hidden_size", "num_layers", "num_attention_heads", "inner_hidden_size", "vocab_size", "max_sequence_length"],
    models: {
      "chatglm-6b": [4096, 28, 32, 16384, 130528, 2048],
    },
  },
  {
    base: CHATGLM,
    fields: ["hidden_size", "num_layers", "num_attention_heads", "multi_query_group_num", "ffn_hidden_size", "padded_vocab_size", "seq_length"],
    models: {
      "chatglm2-6b": [4096, 28, 32, 2, 13696, 65024,  32768],
      "chatglm3-6b": [4096, 28, 32, 2, 13696, 65024,  8192],
      "glm-4-9b":    [4096, 40, 32, 2, 13696, 151552, 131072],
    },
  },
  {
    base: { ...GEMMA, architectures: ["GemmaForCausalLM"], head_dim: 256 },
    fields: DECODER,
    models: {
      "gemma-2b": [2048, 18, 8,  1,  16384, 256000, 8192],
      "gemma-7b": [3072, 28, 16, 16, 24576, 256000, 8192],
    },
  },
  {
    base: GEMMA_2,
    fields: [...DECODER, "head_dim", "query_pre_attn_scalar"],
    models: {
      "gemma-2-2b":  [2304, 26, 8,  4,  9216,  256000, 8192, 256, 256],
      "gemma-2-9b":  [3584, 42, 16, 8,  14336, 256000, 8192, 256, 256],
      "gemma-2-27b": [4608, 46, 32, 16, 36864, 256000, 8192, 128, 144],
    },
  },
  {
    base: GEMMA_3,
    fields: [...DECODER, "head_dim", "query_pre_attn_scalar", "sliding_window"],
    models: {
      "gemma-3-1b": [1152, 26, 4, 1, 6912, 262144, 32768, 256, 256, 512],
    },
  },
  {
    base: { architectures: ["Phi3ForCausalLM"], rms_norm_eps: 1e-5, sliding_window: 2047, original_max_position_embeddings: 4096 },
    fields: DECODER,
    models: {
      "phi-3-mini":   [3072, 32, 32, 32, 8192,  32064, 4096],
      "phi-3-medium": [5120, 40, 40, 10, 17920, 32064, 4096],
    },
  },
  {
    base: { architectures: ["Olmo2ForCausalLM"], rms_norm_eps: 1e-6, rope_theta: 5e5 },
    fields: DECODER,
    models: {
      "olmo-2-7b":  [4096, 32, 32, 32, 11008, 100352, 4096],
      "olmo-2-13b": [5120, 40, 40, 40, 13824, 100352, 4096],
    },
  },
  {
    base: { architectures: ["Starcoder2ForCausalLM"], norm_epsilon: 1e-5, sliding_window: 4096, use_bias: true, hidden_act: "gelu_pytorch_tanh" },
    fields: [...DECODER, "tie_word_embeddings"],
    models: {
      "starcoder2-3b":  [3072, 30, 24, 2, 12288, 49152, 16384, true],
      "starcoder2-7b":  [4608, 32, 36, 4, 18432, 49152, 16384, true],
      "starcoder2-15b": [6144, 40, 48, 4, 24576, 49152, 16384, false],
    },
  },
  {
    base: { architectures: ["FalconForCausalLM"], layer_norm_epsilon: 1e-5 },
    fields: ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_kv_heads", "vocab_size", "new_decoder_architecture", "tie_word_embeddings"],
    models: {
      "falcon-7b":  [4544, 32, 71,  1, 65024, false, true],
      "falcon-40b": [8192, 60, 128, 8, 65024, true,  false],
    },
  },
  {
    base: { architectures: ["MPTForCausalLM"], no_bias: true, expansion_ratio: 4, attn_config: { alibi: true, alibi_bias_max: 8 } },
    fields: ["d_model", "n_layers", "n_heads", "vocab_size", "max_seq_len"],
    models: {
      "mpt-7b":  [4096, 32, 32, 50432, 2048],
      "mpt-30b": [7168, 48, 64, 50432, 8192],
    },
  },
  {
    base: { architectures: ["GPT2LMHeadModel"], layer_norm_epsilon: 1e-5, vocab_size: 50257, n_positions: 1024 },
    fields: ["n_embd", "n_layer", "n_head"],
    models: {
      "gpt-2":        [768,  12, 12],
      "gpt-2-medium": [1024, 24, 16],
      "gpt-2-large":  [1280, 36, 20],
      "gpt-2-xl":     [1600, 48, 25],
    },
  },

  {
    base: { architectures: ["MambaForCausalLM"], vocab_size: 50280, state_size: 16, conv_kernel: 4, use_conv_bias: true },
    fields: ["hidden_size", "num_hidden_layers", "intermediate_size", "time_step_rank"],
    models: {
      "mamba-130m": [768,  24, 1536, 48],
      "mamba-370m": [1024, 48, 2048, 64],
      "mamba-790m": [1536, 48, 3072, 96],
      "mamba-1.4b": [2048, 48, 4096, 128],
      "mamba-2.8b": [2560, 64, 5120, 160],
    },
  },
];
