import * as v from "valibot";
import { meta } from "../../formats/gguf-write.js";
import type { Architecture, HfModel } from "./architecture.js";
import { count, expectField, flag, positive, reader } from "./config.js";

const schema = v.looseObject({
  vocab_size: count,
  d_model: count,
  n_layers: count,
  n_heads: count,
  max_seq_len: count,
  expansion_ratio: v.nullish(count),
  no_bias: flag,
  tie_word_embeddings: flag,
  attn_config: v.looseObject({
    alibi: flag,
    alibi_bias_max: v.nullish(positive),
    clip_qkv: v.nullish(v.union([positive, v.literal(0)])),
    kv_n_heads: v.nullish(count),
    qk_ln: flag,
    prefix_lm: flag,
    softmax_scale: v.nullish(positive),
  }),
});

function readMpt(config: v.InferOutput<typeof schema>): HfModel {
  const attention = config.attn_config;
  expectField("attn_config.alibi", attention.alibi ?? false, true);
  expectField("attn_config.qk_ln", attention.qk_ln ?? false, false);
  expectField("attn_config.prefix_lm", attention.prefix_lm ?? false, false);
  expectField("attn_config.softmax_scale", attention.softmax_scale ?? null, null);
  const { kv_n_heads: headsKv, clip_qkv: clip } = attention;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_seq_len)],
      ["embedding_length", meta.u32(config.d_model)],
      ["block_count", meta.u32(config.n_layers)],
      ["feed_forward_length", meta.u32((config.expansion_ratio ?? 4) * config.d_model)],
      ["attention.head_count", meta.u32(config.n_heads)],
      ...(headsKv ? [["attention.head_count_kv", meta.u32(headsKv)] as const] : []),
      ["attention.layer_norm_epsilon", meta.f32(1e-5)], // PyTorch's; the config has none
      ...(clip ? [["attention.clamp_kqv", meta.f32(clip)] as const] : []),
      ["attention.max_alibi_bias", meta.f32(attention.alibi_bias_max ?? 8)],
    ],
  };
}

export const mpt: Architecture = {
  name: "mpt",
  covers: ["MPT"],
  classes: ["MPTForCausalLM", "MptForCausalLM"],
  read: reader(schema, readMpt),
  // biome-ignore format: columns
  tensors: [
    { name: "token_embd.weight",          source: "transformer.wte.weight",                       role: "token_embd",       shape: ["vocab", "embd"] },
    { name: "blk.{i}.attn_norm.weight",   source: "transformer.blocks.{i}.norm_1.weight",         role: "attn_norm",        shape: ["embd"] },
    { name: "blk.{i}.attn_norm.bias",     source: "transformer.blocks.{i}.norm_1.bias",           role: "attn_norm_bias",   shape: ["embd"], optional: true },
    { name: "blk.{i}.attn_qkv.weight",    source: "transformer.blocks.{i}.attn.Wqkv.weight",      role: "attn_qkv",         shape: ["qkv", "embd"] },
    { name: "blk.{i}.attn_qkv.bias",      source: "transformer.blocks.{i}.attn.Wqkv.bias",        role: "attn_qkv_bias",    shape: ["qkv"],  optional: true },
    { name: "blk.{i}.attn_output.weight", source: "transformer.blocks.{i}.attn.out_proj.weight",  role: "attn_output",      shape: ["embd", "attn"] },
    { name: "blk.{i}.attn_output.bias",   source: "transformer.blocks.{i}.attn.out_proj.bias",    role: "attn_output_bias", shape: ["embd"], optional: true },
    { name: "blk.{i}.ffn_norm.weight",    source: "transformer.blocks.{i}.norm_2.weight",         role: "ffn_norm",         shape: ["embd"] },
    { name: "blk.{i}.ffn_norm.bias",      source: "transformer.blocks.{i}.norm_2.bias",           role: "ffn_norm_bias",    shape: ["embd"], optional: true },
    { name: "blk.{i}.ffn_up.weight",      source: "transformer.blocks.{i}.ffn.up_proj.weight",    role: "ffn_up",           shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_up.bias",        source: "transformer.blocks.{i}.ffn.up_proj.bias",      role: "ffn_up_bias",      shape: ["ffn"],  optional: true },
    { name: "blk.{i}.ffn_down.weight",    source: "transformer.blocks.{i}.ffn.down_proj.weight",  role: "ffn_down",         shape: ["embd", "ffn"] },
    { name: "blk.{i}.ffn_down.bias",      source: "transformer.blocks.{i}.ffn.down_proj.bias",    role: "ffn_down_bias",    shape: ["embd"], optional: true },
    { name: "output_norm.weight",         source: "transformer.norm_f.weight",                    role: "output_norm",      shape: ["embd"] },
    { name: "output_norm.bias",           source: "transformer.norm_f.bias",                      role: "output_norm_bias", shape: ["embd"], optional: true },
    { name: "output.weight",              source: "lm_head.weight",                               role: "output",           shape: ["vocab", "embd"] },
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    positions: "alibi",
    activation: "gelu_erf",
    alibiMaxBias: h.alibiMaxBias ?? 0,
    clampQkv: h.clampQkv,
  }),
};
