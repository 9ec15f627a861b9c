import * as v from "valibot";
import type { Architecture, HfModel } from "./architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "./config.js";
import { ropeKeys } from "./rope-scaling.js";

const schema = v.looseObject({ ...decoderFields, attention_bias: flag });

function readOlmo2(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
  };
}

/** Norms stand behind both halves of a block, and are over all queries or keys of a token together. */
export const olmo2: Architecture = {
  name: "olmo2",
  covers: ["OLMo 2"],
  classes: ["Olmo2ForCausalLM"],
  read: reader(schema, readOlmo2),
  // biome-ignore format: columns
  tensors: [
    { name: "token_embd.weight",                  source: "model.embed_tokens.weight",                            role: "token_embd",     shape: ["vocab", "embd"] },
    { name: "blk.{i}.attn_q.weight",              source: "model.layers.{i}.self_attn.q_proj.weight",             role: "attn_q",         shape: ["q", "embd"] },
    { name: "blk.{i}.attn_k.weight",              source: "model.layers.{i}.self_attn.k_proj.weight",             role: "attn_k",         shape: ["kv", "embd"] },
    { name: "blk.{i}.attn_v.weight",              source: "model.layers.{i}.self_attn.v_proj.weight",             role: "attn_v",         shape: ["v", "embd"] },
    { name: "blk.{i}.attn_q_norm.weight",         source: "model.layers.{i}.self_attn.q_norm.weight",             role: "attn_q_norm",    shape: ["q"] },
    { name: "blk.{i}.attn_k_norm.weight",         source: "model.layers.{i}.self_attn.k_norm.weight",             role: "attn_k_norm",    shape: ["kv"] },
    { name: "blk.{i}.attn_output.weight",         source: "model.layers.{i}.self_attn.o_proj.weight",             role: "attn_output",    shape: ["embd", "attn"] },
    { name: "blk.{i}.post_attention_norm.weight", source: "model.layers.{i}.post_attention_layernorm.weight",     role: "attn_post_norm", shape: ["embd"] },
    { name: "blk.{i}.ffn_gate.weight",            source: "model.layers.{i}.mlp.gate_proj.weight",                role: "ffn_gate",       shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_up.weight",              source: "model.layers.{i}.mlp.up_proj.weight",                  role: "ffn_up",         shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_down.weight",            source: "model.layers.{i}.mlp.down_proj.weight",                role: "ffn_down",       shape: ["embd", "ffn"] },
    { name: "blk.{i}.post_ffw_norm.weight",       source: "model.layers.{i}.post_feedforward_layernorm.weight",   role: "ffn_post_norm",  shape: ["embd"] },
    { name: "output_norm.weight",                 source: "model.norm.weight",                                    role: "output_norm",    shape: ["embd"] },
    { name: "output.weight",                      source: "lm_head.weight",                                       role: "output",         shape: ["vocab", "embd"] },
  ],
  ignored: [],
  decoder: () => ({ norm: "rms", positions: "halves", activation: "silu" }),
};
