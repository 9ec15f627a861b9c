import * as v from "valibot";
import { meta } from "../../formats/gguf-write.js";
import type { Architecture, HfModel } from "./architecture.js";
import { count, expectField, flag, positive, reader } from "./config.js";

const schema = v.looseObject({
  vocab_size: count,
  n_positions: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_inner: v.nullish(count),
  layer_norm_epsilon: positive,
  activation_function: v.nullish(v.string()),
  scale_attn_weights: flag,
  scale_attn_by_inverse_layer_idx: flag,
  tie_word_embeddings: flag,
});

function readGpt2(config: v.InferOutput<typeof schema>): HfModel {
  expectField(
    "activation_function",
    config.activation_function ?? "gelu_new",
    "gelu_new",
    "gelu_pytorch_tanh",
  );
  expectField("scale_attn_weights", config.scale_attn_weights ?? true, true);
  expectField("scale_attn_by_inverse_layer_idx", config.scale_attn_by_inverse_layer_idx ?? false, false);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.n_positions)],
      ["embedding_length", meta.u32(config.n_embd)],
      ["block_count", meta.u32(config.n_layer)],
      ["feed_forward_length", meta.u32(config.n_inner ?? 4 * config.n_embd)],
      ["attention.head_count", meta.u32(config.n_head)],
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
    ],
  };
}

/** Its matrices are stored with inputs first, as transformers' Conv1D has them. */
export const gpt2: Architecture = {
  name: "gpt2",
  covers: ["GPT-2"],
  classes: ["GPT2LMHeadModel"],
  read: reader(schema, readGpt2),
  // biome-ignore format: columns
  tensors: [
    { name: "token_embd.weight",          source: "transformer.wte.weight",                role: "token_embd",       shape: ["vocab", "embd"] },
    { name: "position_embd.weight",       source: "transformer.wpe.weight",                role: "position_embd",    shape: ["context", "embd"] },
    { name: "blk.{i}.attn_norm.weight",   source: "transformer.h.{i}.ln_1.weight",         role: "attn_norm",        shape: ["embd"] },
    { name: "blk.{i}.attn_norm.bias",     source: "transformer.h.{i}.ln_1.bias",           role: "attn_norm_bias",   shape: ["embd"] },
    { name: "blk.{i}.attn_qkv.weight",    source: "transformer.h.{i}.attn.c_attn.weight",  role: "attn_qkv",         shape: ["qkv", "embd"],  transposed: true },
    { name: "blk.{i}.attn_qkv.bias",      source: "transformer.h.{i}.attn.c_attn.bias",    role: "attn_qkv_bias",    shape: ["qkv"] },
    { name: "blk.{i}.attn_output.weight", source: "transformer.h.{i}.attn.c_proj.weight",  role: "attn_output",      shape: ["embd", "attn"], transposed: true },
    { name: "blk.{i}.attn_output.bias",   source: "transformer.h.{i}.attn.c_proj.bias",    role: "attn_output_bias", shape: ["embd"] },
    { name: "blk.{i}.ffn_norm.weight",    source: "transformer.h.{i}.ln_2.weight",         role: "ffn_norm",         shape: ["embd"] },
    { name: "blk.{i}.ffn_norm.bias",      source: "transformer.h.{i}.ln_2.bias",           role: "ffn_norm_bias",    shape: ["embd"] },
    { name: "blk.{i}.ffn_up.weight",      source: "transformer.h.{i}.mlp.c_fc.weight",     role: "ffn_up",           shape: ["ffn", "embd"],  transposed: true },
    { name: "blk.{i}.ffn_up.bias",        source: "transformer.h.{i}.mlp.c_fc.bias",       role: "ffn_up_bias",      shape: ["ffn"] },
    { name: "blk.{i}.ffn_down.weight",    source: "transformer.h.{i}.mlp.c_proj.weight",   role: "ffn_down",         shape: ["embd", "ffn"],  transposed: true },
    { name: "blk.{i}.ffn_down.bias",      source: "transformer.h.{i}.mlp.c_proj.bias",     role: "ffn_down_bias",    shape: ["embd"] },
    { name: "output_norm.weight",         source: "transformer.ln_f.weight",               role: "output_norm",      shape: ["embd"] },
    { name: "output_norm.bias",           source: "transformer.ln_f.bias",                 role: "output_norm_bias", shape: ["embd"] },
    { name: "output.weight",              source: "lm_head.weight",                        role: "output",           shape: ["vocab", "embd"] },
  ],
  prefix: "transformer.",
  ignored: ["transformer.h.{i}.attn.bias", "transformer.h.{i}.attn.masked_bias"],
  decoder: () => ({ norm: "layer", positions: "learned", activation: "gelu_tanh" }),
};
