import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, headDim, positive, reader } from "../config.js";
import { grouped } from "../fused.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_layers: count,
  num_attention_heads: count,
  inner_hidden_size: count,
  max_sequence_length: count,
  layernorm_epsilon: positive,
  position_encoding_2d: flag,
  pre_seq_len: v.nullish(count),
});

/** √(2 × 28): the publisher's code takes the number of layers of the published model, whatever the config says. */
const RESIDUAL_SCALE = Math.sqrt(56);

function readChatglm1(config: v.InferOutput<typeof schema>): HfModel {
  expectField("position_encoding_2d", config.position_encoding_2d ?? true, true);
  expectField("pre_seq_len", config.pre_seq_len ?? null, null);
  const { hidden_size, num_attention_heads } = config;
  return {
    vocabSize: config.vocab_size,
    tied: true,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_sequence_length)],
      ["embedding_length", meta.u32(hidden_size)],
      ["block_count", meta.u32(config.num_layers)],
      ["feed_forward_length", meta.u32(config.inner_hidden_size)],
      ["attention.head_count", meta.u32(num_attention_heads)],
      ["attention.layer_norm_epsilon", meta.f32(config.layernorm_epsilon)],
      ["rope.dimension_count", meta.u32(headDim({ hidden_size, num_attention_heads }) / 2)],
      ["rope.freq_base", meta.f32(10000)],
      ["residual_scale", meta.f32(RESIDUAL_SCALE)],
    ],
  };
}

const QKV = "transformer.layers.{i}.attention.query_key_value";
const qkv = (part: "q" | "k" | "v") => ({ bias: "always", part: grouped(part) }) as const;

/**
 * The first ChatGLM. llama.cpp has no such architecture, and the name is llq's own: a prefix whose tokens see each
 * other, places in it and behind it, and blocks that add to the normalized states (modeling_chatglm.py of THUDM).
 */
export const chatglm1: Architecture = {
  name: "chatglm1",
  covers: ["ChatGLM-6B (the first)"],
  classes: ["ChatGLMModel", "ChatGLMForConditionalGeneration"],
  accepts: (config) => "position_encoding_2d" in config || "inner_hidden_size" in config,
  read: reader(schema, readChatglm1),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.word_embeddings.weight"),
    ...norm("attn_norm", "embd", "transformer.layers.{i}.input_layernorm", { bias: "always" }),
    ...linear("attn_q", ["q", "embd"], QKV, qkv("q")),
    ...linear("attn_k", ["kv", "embd"], QKV, qkv("k")),
    ...linear("attn_v", ["v", "embd"], QKV, qkv("v")),
    ...linear("attn_output", ["embd", "attn"], "transformer.layers.{i}.attention.dense", { bias: "always" }),
    ...norm("ffn_norm", "embd", "transformer.layers.{i}.post_attention_layernorm", { bias: "always" }),
    ...linear("ffn_up", ["ffn", "embd"], "transformer.layers.{i}.mlp.dense_h_to_4h", { bias: "always" }),
    ...linear("ffn_down", ["embd", "ffn"], "transformer.layers.{i}.mlp.dense_4h_to_h", { bias: "always" }),
    ...norm("output_norm", "embd", "transformer.final_layernorm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["transformer.layers.{i}.attention.rotary_emb.inv_freq"],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "prefixAndRest" } }),
      feedForward: { activation: "gelu_tanh" },
      residual: { of: "normed", scale: h.residualScale ?? 1 },
    }),
  }),
};
