import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import { linear, norm, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  kv_channels: count,
  /** Of both halves of the feed-forward together. */
  intermediate_size: count,
  seq_length: count,
  layer_norm_epsilon: positive,
  rotary_emb_base: v.nullish(positive),
  rotary_pct: v.nullish(positive),
  no_bias: flag,
  scale_attn_weights: flag,
});

/** Beyond the trained length its own code stretches RoPE and sharpens attention; that is in no file, nor done here. */
function readQwen(config: v.InferOutput<typeof schema>): HfModel {
  expectField("no_bias", config.no_bias ?? true, true);
  expectField("rotary_pct", config.rotary_pct ?? 1, 1);
  expectField("scale_attn_weights", config.scale_attn_weights ?? true, true);
  return {
    vocabSize: config.vocab_size,
    tied: false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.seq_length)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["feed_forward_length", meta.u32(config.intermediate_size)],
      ["rope.freq_base", meta.f32(config.rotary_emb_base ?? 10000)],
      ["rope.dimension_count", meta.u32(config.kv_channels)],
      ["attention.head_count", meta.u32(config.num_attention_heads)],
      ["attention.layer_norm_rms_epsilon", meta.f32(config.layer_norm_epsilon)],
    ],
  };
}

export const qwen: Architecture = {
  name: "qwen",
  covers: ["Qwen 7B, 14B and 72B (the first)"],
  classes: ["QWenLMHeadModel"],
  read: reader(schema, readQwen),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    ...norm("attn_norm", "embd", "transformer.h.{i}.ln_1"),
    ...linear("attn_qkv", ["qkv", "embd"], "transformer.h.{i}.attn.c_attn", { bias: "always" }),
    ...linear("attn_output", ["embd", "attn"], "transformer.h.{i}.attn.c_proj"),
    ...norm("ffn_norm", "embd", "transformer.h.{i}.ln_2"),
    ...linear("ffn_gate", ["ffn/2", "embd"], "transformer.h.{i}.mlp.w2"),
    ...linear("ffn_up", ["ffn/2", "embd"], "transformer.h.{i}.mlp.w1"),
    ...linear("ffn_down", ["embd", "ffn/2"], "transformer.h.{i}.mlp.c_proj"),
    ...norm("output_norm", "embd", "transformer.ln_f"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["transformer.rotary_emb.inv_freq"],
  decoder: (h) => llamaKind(h, "halves"),
};
