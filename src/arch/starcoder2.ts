import * as v from "valibot";
import { meta } from "../../formats/gguf-write.js";
import type { Architecture, HfModel } from "./architecture.js";
import { count, decoderFields, expectField, flag, headDim, headsKv, positive, reader } from "./config.js";
import { ropeKeys } from "./rope-scaling.js";

const { rms_norm_eps: _, ...fields } = decoderFields;
const schema = v.looseObject({
  ...fields,
  norm_epsilon: positive,
  norm_type: v.nullish(v.string()),
  use_bias: flag,
  sliding_window: v.nullish(count),
  tie_word_embeddings: flag,
});

function readStarCoder2(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "gelu_pytorch_tanh", "gelu_pytorch_tanh");
  expectField("norm_type", config.norm_type ?? "layer_norm", "layer_norm");
  expectField("use_bias", config.use_bias ?? true, true);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_position_embeddings)],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["feed_forward_length", meta.u32(config.intermediate_size)],
      ["attention.head_count", meta.u32(config.num_attention_heads)],
      ["attention.head_count_kv", meta.u32(headsKv(config))],
      ["attention.layer_norm_epsilon", meta.f32(config.norm_epsilon)],
      ...(config.sliding_window
        ? [["attention.sliding_window", meta.u32(config.sliding_window)] as const]
        : []),
      ...ropeKeys(config, headDim(config)),
    ],
  };
}

export const starcoder2: Architecture = {
  name: "starcoder2",
  covers: ["StarCoder2"],
  classes: ["Starcoder2ForCausalLM"],
  read: reader(schema, readStarCoder2),
  // biome-ignore format: columns
  tensors: [
    { name: "token_embd.weight",          source: "model.embed_tokens.weight",                        role: "token_embd",       shape: ["vocab", "embd"] },
    { name: "blk.{i}.attn_norm.weight",   source: "model.layers.{i}.input_layernorm.weight",          role: "attn_norm",        shape: ["embd"] },
    { name: "blk.{i}.attn_norm.bias",     source: "model.layers.{i}.input_layernorm.bias",            role: "attn_norm_bias",   shape: ["embd"] },
    { name: "blk.{i}.attn_q.weight",      source: "model.layers.{i}.self_attn.q_proj.weight",         role: "attn_q",           shape: ["q", "embd"] },
    { name: "blk.{i}.attn_q.bias",        source: "model.layers.{i}.self_attn.q_proj.bias",           role: "attn_q_bias",      shape: ["q"] },
    { name: "blk.{i}.attn_k.weight",      source: "model.layers.{i}.self_attn.k_proj.weight",         role: "attn_k",           shape: ["kv", "embd"] },
    { name: "blk.{i}.attn_k.bias",        source: "model.layers.{i}.self_attn.k_proj.bias",           role: "attn_k_bias",      shape: ["kv"] },
    { name: "blk.{i}.attn_v.weight",      source: "model.layers.{i}.self_attn.v_proj.weight",         role: "attn_v",           shape: ["v", "embd"] },
    { name: "blk.{i}.attn_v.bias",        source: "model.layers.{i}.self_attn.v_proj.bias",           role: "attn_v_bias",      shape: ["v"] },
    { name: "blk.{i}.attn_output.weight", source: "model.layers.{i}.self_attn.o_proj.weight",         role: "attn_output",      shape: ["embd", "attn"] },
    { name: "blk.{i}.attn_output.bias",   source: "model.layers.{i}.self_attn.o_proj.bias",           role: "attn_output_bias", shape: ["embd"] },
    { name: "blk.{i}.ffn_norm.weight",    source: "model.layers.{i}.post_attention_layernorm.weight", role: "ffn_norm",         shape: ["embd"] },
    { name: "blk.{i}.ffn_norm.bias",      source: "model.layers.{i}.post_attention_layernorm.bias",   role: "ffn_norm_bias",    shape: ["embd"] },
    { name: "blk.{i}.ffn_up.weight",      source: "model.layers.{i}.mlp.c_fc.weight",                 role: "ffn_up",           shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_up.bias",        source: "model.layers.{i}.mlp.c_fc.bias",                   role: "ffn_up_bias",      shape: ["ffn"] },
    { name: "blk.{i}.ffn_down.weight",    source: "model.layers.{i}.mlp.c_proj.weight",               role: "ffn_down",         shape: ["embd", "ffn"] },
    { name: "blk.{i}.ffn_down.bias",      source: "model.layers.{i}.mlp.c_proj.bias",                 role: "ffn_down_bias",    shape: ["embd"] },
    { name: "output_norm.weight",         source: "model.norm.weight",                                role: "output_norm",      shape: ["embd"] },
    { name: "output_norm.bias",           source: "model.norm.bias",                                  role: "output_norm_bias", shape: ["embd"] },
    { name: "output.weight",              source: "lm_head.weight",                                   role: "output",           shape: ["vocab", "embd"] },
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    positions: "halves",
    activation: "gelu_tanh",
    window: h.slidingWindow,
  }),
};
