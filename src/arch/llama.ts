import type { MetaField } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf-write.js";
import type { Transform } from "../tensor.js";
import { type Architecture, headDim, headsKv } from "./architecture.js";
import type { HfConfig } from "./config.js";
import type { HParams } from "./hparams.js";
import { llama3Divisors, ropeScalingMetadata } from "./rope-scaling.js";

// Transformers splits a head in halves for RoPE; GGUF's "llama" pairs neighbours. Biases go with their rows.
const permuteQ = (h: HParams): Transform => ({ kind: "permuteRope", heads: h.headCount });
const permuteK = (h: HParams): Transform => ({ kind: "permuteRope", heads: h.headCountKv });

/** Llama 1 to 3, Mistral, TinyLlama, SmolLM2, Yi. */
export const llama: Architecture = {
  name: "llama",
  models: ["LlamaForCausalLM", "MistralForCausalLM"],
  metadata: llamaMetadata,
  // biome-ignore format: columns
  tensors: [
    { name: "token_embd.weight",          source: "model.embed_tokens.weight",                       role: "token_embd",       shape: ["vocab", "embd"] },
    { name: "rope_freqs.weight",                                                                     role: "rope_freqs",       shape: ["rope/2"],     optional: true },
    { name: "blk.{i}.attn_norm.weight",   source: "model.layers.{i}.input_layernorm.weight",          role: "attn_norm",        shape: ["embd"] },
    { name: "blk.{i}.attn_q.weight",      source: "model.layers.{i}.self_attn.q_proj.weight",         role: "attn_q",           shape: ["q", "embd"],  transform: permuteQ },
    { name: "blk.{i}.attn_q.bias",        source: "model.layers.{i}.self_attn.q_proj.bias",           role: "attn_q_bias",      shape: ["q"],          transform: permuteQ, optional: true },
    { name: "blk.{i}.attn_k.weight",      source: "model.layers.{i}.self_attn.k_proj.weight",         role: "attn_k",           shape: ["kv", "embd"], transform: permuteK },
    { name: "blk.{i}.attn_k.bias",        source: "model.layers.{i}.self_attn.k_proj.bias",           role: "attn_k_bias",      shape: ["kv"],         transform: permuteK, optional: true },
    { name: "blk.{i}.attn_v.weight",      source: "model.layers.{i}.self_attn.v_proj.weight",         role: "attn_v",           shape: ["v", "embd"] },
    { name: "blk.{i}.attn_v.bias",        source: "model.layers.{i}.self_attn.v_proj.bias",           role: "attn_v_bias",      shape: ["v"],          optional: true },
    { name: "blk.{i}.attn_output.weight", source: "model.layers.{i}.self_attn.o_proj.weight",         role: "attn_output",      shape: ["embd", "attn"] },
    { name: "blk.{i}.attn_output.bias",   source: "model.layers.{i}.self_attn.o_proj.bias",           role: "attn_output_bias", shape: ["embd"],       optional: true },
    { name: "blk.{i}.ffn_norm.weight",    source: "model.layers.{i}.post_attention_layernorm.weight", role: "ffn_norm",         shape: ["embd"] },
    { name: "blk.{i}.ffn_gate.weight",    source: "model.layers.{i}.mlp.gate_proj.weight",            role: "ffn_gate",         shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_gate.bias",      source: "model.layers.{i}.mlp.gate_proj.bias",              role: "ffn_gate_bias",    shape: ["ffn"],        optional: true },
    { name: "blk.{i}.ffn_up.weight",      source: "model.layers.{i}.mlp.up_proj.weight",              role: "ffn_up",           shape: ["ffn", "embd"] },
    { name: "blk.{i}.ffn_up.bias",        source: "model.layers.{i}.mlp.up_proj.bias",                role: "ffn_up_bias",      shape: ["ffn"],        optional: true },
    { name: "blk.{i}.ffn_down.weight",    source: "model.layers.{i}.mlp.down_proj.weight",            role: "ffn_down",         shape: ["embd", "ffn"] },
    { name: "blk.{i}.ffn_down.bias",      source: "model.layers.{i}.mlp.down_proj.bias",              role: "ffn_down_bias",    shape: ["embd"],       optional: true },
    { name: "output_norm.weight",         source: "model.norm.weight",                                role: "output_norm",      shape: ["embd"] },
    { name: "output.weight",              source: "lm_head.weight",                                   role: "output",           shape: ["vocab", "embd"] },
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"],
  computed: (config) => {
    const divisors = llama3Divisors(config);
    return new Map(divisors && [["rope_freqs.weight", divisors]]);
  },
  decoder: { rope: "neighbours" },
};

function llamaMetadata(config: HfConfig): Map<string, MetaField> {
  if (config.hidden_act !== undefined && config.hidden_act !== "silu") {
    throw new LlqError("unsupported", `config.json: hidden_act ${config.hidden_act}; llama has silu`);
  }
  const keys: [string, MetaField][] = [
    ["vocab_size", meta.u32(config.vocab_size)],
    ["context_length", meta.u32(config.max_position_embeddings)],
    ["embedding_length", meta.u32(config.hidden_size)],
    ["block_count", meta.u32(config.num_hidden_layers)],
    ["feed_forward_length", meta.u32(config.intermediate_size)],
    ["attention.head_count", meta.u32(config.num_attention_heads)],
    ["attention.head_count_kv", meta.u32(headsKv(config))],
    ["attention.key_length", meta.u32(headDim(config))],
    ["attention.value_length", meta.u32(headDim(config))],
    ["attention.layer_norm_rms_epsilon", meta.f32(config.rms_norm_eps)],
    ["rope.dimension_count", meta.u32(headDim(config))],
    ["rope.freq_base", meta.f32(config.rope_theta ?? 10000)],
    ...ropeScalingMetadata(config),
  ];
  if (config.sliding_window != null) keys.push(["attention.sliding_window", meta.u32(config.sliding_window)]);
  return new Map(keys.map(([key, field]) => [`llama.${key}`, field]));
}
