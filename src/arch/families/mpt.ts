import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

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

const normed = (): Pick<HfModel, "optional" | "remarks"> => ({
  optional: ["attn_q_norm", "attn_k_norm"],
  remarks: [t`llama.cpp ends in an assertion when an MPT's queries and keys are to be normed`],
});

function readMpt(config: v.InferOutput<typeof schema>): HfModel {
  const attention = config.attn_config;
  expectField("attn_config.alibi", attention.alibi ?? false, true);
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
    ...(attention.qk_ln === true && normed()),
  };
}

export const mpt: Architecture = {
  name: "mpt",
  covers: ["MPT"],
  classes: ["MPTForCausalLM", "MptForCausalLM"],
  read: reader(schema, readMpt),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.wte.weight"),
    ...norm("attn_norm", "embd", "transformer.blocks.{i}.norm_1", { bias: "optional" }),
    ...linear("attn_qkv", ["qkv", "embd"], "transformer.blocks.{i}.attn.Wqkv", { bias: "optional" }),
    ...norm("attn_q_norm", "q", "transformer.blocks.{i}.attn.q_ln", { bias: "optional", optional: true }),
    ...norm("attn_k_norm", "kv", "transformer.blocks.{i}.attn.k_ln", { bias: "optional", optional: true }),
    ...linear("attn_output", ["embd", "attn"], "transformer.blocks.{i}.attn.out_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "transformer.blocks.{i}.norm_2", { bias: "optional" }),
    ...linear("ffn_up", ["ffn", "embd"], "transformer.blocks.{i}.ffn.up_proj", { bias: "optional" }),
    ...linear("ffn_down", ["embd", "ffn"], "transformer.blocks.{i}.ffn.down_proj", { bias: "optional" }),
    ...norm("output_norm", "embd", "transformer.norm_f", { bias: "optional" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ alibiMaxBias: h.alibiMaxBias ?? 0, clampQkv: h.clampQkv }),
      feedForward: { activation: "gelu_erf" },
    }),
  }),
};
