/** The numbers of a Llama, or of a family that has the same ones. */
export interface LlamaShape {
  readonly family?: "llama" | "chatglm2";
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
  readonly vocab: number;
  /** No lm_head of its own. */
  readonly tied?: boolean;
  /** Tokens it is said to be trained for. Default: 4096. */
  readonly context?: number;
}

// biome-ignore format: columns
export const PRESETS = {
  "tiny":        { hidden: 256,  layers: 4,  heads: 8,  kvHeads: 2,  ffn: 768,   vocab: 2048 },
  "llama-1.1b":  { hidden: 2048, layers: 22, heads: 32, kvHeads: 4,  ffn: 5632,  vocab: 32000 },
  "llama3-1b":   { hidden: 2048, layers: 16, heads: 32, kvHeads: 8,  ffn: 8192,  vocab: 128256, tied: true },
  "chatglm2-6b": { hidden: 4096, layers: 28, heads: 32, kvHeads: 2,  ffn: 13696, vocab: 65024, context: 32768, family: "chatglm2" },
  "llama-7b":    { hidden: 4096, layers: 32, heads: 32, kvHeads: 32, ffn: 11008, vocab: 32000 },
  "mistral-7b":  { hidden: 4096, layers: 32, heads: 32, kvHeads: 8,  ffn: 14336, vocab: 32000, context: 32768 },
  "llama3-8b":   { hidden: 4096, layers: 32, heads: 32, kvHeads: 8,  ffn: 14336, vocab: 128256 },
  "llama-13b":   { hidden: 5120, layers: 40, heads: 40, kvHeads: 40, ffn: 13824, vocab: 32000 },
  "llama-70b":   { hidden: 8192, layers: 80, heads: 64, kvHeads: 8,  ffn: 28672, vocab: 32000 },
} as const satisfies Record<string, LlamaShape>;

/** A checkpoint in Hugging Face form, but for the numbers in it. */
export interface CheckpointShape {
  readonly config: object;
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
}

export function checkpointOf(shape: LlamaShape, torchName: string): CheckpointShape {
  return shape.family === "chatglm2" ? chatglm2(shape, torchName) : llama(shape, torchName);
}

function llama(
  { hidden, layers, heads, kvHeads, ffn, vocab, tied = false, context = 4096 }: LlamaShape,
  torchName: string,
): CheckpointShape {
  const kv = (hidden / heads) * kvHeads;
  return {
    config: {
      architectures: ["LlamaForCausalLM"],
      bos_token_id: 1,
      eos_token_id: 2,
      hidden_act: "silu",
      hidden_size: hidden,
      intermediate_size: ffn,
      max_position_embeddings: context,
      model_type: "llama",
      num_attention_heads: heads,
      num_hidden_layers: layers,
      num_key_value_heads: kvHeads,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: tied,
      torch_dtype: torchName,
      vocab_size: vocab,
    },
    tensors: [
      ["model.embed_tokens.weight", [vocab, hidden]],
      ...eachLayer(layers, "model.layers", [
        ["input_layernorm.weight", [hidden]],
        ["self_attn.q_proj.weight", [hidden, hidden]],
        ["self_attn.k_proj.weight", [kv, hidden]],
        ["self_attn.v_proj.weight", [kv, hidden]],
        ["self_attn.o_proj.weight", [hidden, hidden]],
        ["post_attention_layernorm.weight", [hidden]],
        ["mlp.gate_proj.weight", [ffn, hidden]],
        ["mlp.up_proj.weight", [ffn, hidden]],
        ["mlp.down_proj.weight", [hidden, ffn]],
      ]),
      ["model.norm.weight", [hidden]],
      ...(tied ? [] : ([["lm_head.weight", [vocab, hidden]]] as const)),
    ],
  };
}

function chatglm2(
  { hidden, layers, heads, kvHeads, ffn, vocab, context = 4096 }: LlamaShape,
  torchName: string,
): CheckpointShape {
  const length = hidden / heads;
  const qkv = hidden + 2 * kvHeads * length;
  return {
    config: {
      _name_or_path: "THUDM/chatglm2-6b",
      architectures: ["ChatGLMModel"],
      model_type: "chatglm",
      add_bias_linear: false,
      add_qkv_bias: true,
      eos_token_id: 2,
      ffn_hidden_size: ffn,
      hidden_size: hidden,
      kv_channels: length,
      layernorm_epsilon: 1e-5,
      multi_query_attention: true,
      multi_query_group_num: kvHeads,
      num_attention_heads: heads,
      num_layers: layers,
      original_rope: true,
      padded_vocab_size: vocab,
      post_layer_norm: true,
      rmsnorm: true,
      seq_length: context,
      tie_word_embeddings: false,
      torch_dtype: torchName,
    },
    tensors: [
      ["transformer.embedding.word_embeddings.weight", [vocab, hidden]],
      ...eachLayer(layers, "transformer.encoder.layers", [
        ["input_layernorm.weight", [hidden]],
        ["self_attention.query_key_value.weight", [qkv, hidden]],
        ["self_attention.query_key_value.bias", [qkv]],
        ["self_attention.dense.weight", [hidden, hidden]],
        ["post_attention_layernorm.weight", [hidden]],
        ["mlp.dense_h_to_4h.weight", [2 * ffn, hidden]],
        ["mlp.dense_4h_to_h.weight", [hidden, ffn]],
      ]),
      ["transformer.encoder.final_layernorm.weight", [hidden]],
      ["transformer.output_layer.weight", [vocab, hidden]],
    ],
  };
}

function eachLayer(
  layers: number,
  prefix: string,
  tensors: CheckpointShape["tensors"],
): CheckpointShape["tensors"] {
  return Array.from({ length: layers }, (_, i) =>
    tensors.map(([name, shape]) => [`${prefix}.${i}.${name}`, shape] as const),
  ).flat();
}
