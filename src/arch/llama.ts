import * as v from "valibot";
import { meta } from "../../formats/gguf-write.js";
import type { Transform } from "../tensor.js";
import type { Architecture, HfModel } from "./architecture.js";
import { count, decoderFields, decoderKeys, expectField, headDim, reader } from "./config.js";
import { type HParams, hasExperts, isDense } from "./hparams.js";
import { llama3Divisors, ropeKeys } from "./rope-scaling.js";

// Transformers splits a head in halves for RoPE; GGUF's "llama" pairs neighbours. Biases go with their rows.
export const permuteQ = (h: HParams): Transform => ({ kind: "permuteRope", heads: h.headCount });
export const permuteK = (h: HParams): Transform => ({ kind: "permuteRope", heads: h.headCountKv });

const schema = v.looseObject({ ...decoderFields, sliding_window: v.nullish(count) });

/** Also what other families' config.json means that became a "llama". */
export function readLlama(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const width = headDim(config);
  const divisors = llama3Divisors(config, width);
  const window = config.sliding_window ?? undefined;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, width),
      ...(window === undefined ? [] : [["attention.sliding_window", meta.u32(window)] as const]),
    ],
    computed: new Map(divisors && [["rope_freqs.weight", divisors]]),
  };
}

export const llama: Architecture = {
  name: "llama",
  covers: ["Llama 1, 2, 3, 3.1 and 3.2", "Chinese-Llama-2", "Mistral", "Yi", "TinyLlama", "SmolLM2"],
  classes: ["LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"],
  read: reader(schema, readLlama),
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
    { name: "blk.{i}.ffn_gate_inp.weight",  source: "model.layers.{i}.block_sparse_moe.gate.weight",           role: "router",        shape: ["experts", "embd"],              when: hasExperts },
    { name: "blk.{i}.ffn_gate_exps.weight", source: "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight", role: "ffn_gate_exps", shape: ["experts", "expertFfn", "embd"], when: hasExperts },
    { name: "blk.{i}.ffn_down_exps.weight", source: "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight", role: "ffn_down_exps", shape: ["experts", "embd", "expertFfn"], when: hasExperts },
    { name: "blk.{i}.ffn_up_exps.weight",   source: "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight", role: "ffn_up_exps",   shape: ["experts", "expertFfn", "embd"], when: hasExperts },
    { name: "blk.{i}.ffn_gate.weight",    source: "model.layers.{i}.mlp.gate_proj.weight",            role: "ffn_gate",         shape: ["ffn", "embd"],  when: isDense },
    { name: "blk.{i}.ffn_gate.bias",      source: "model.layers.{i}.mlp.gate_proj.bias",              role: "ffn_gate_bias",    shape: ["ffn"],        when: isDense, optional: true },
    { name: "blk.{i}.ffn_up.weight",      source: "model.layers.{i}.mlp.up_proj.weight",              role: "ffn_up",           shape: ["ffn", "embd"],  when: isDense },
    { name: "blk.{i}.ffn_up.bias",        source: "model.layers.{i}.mlp.up_proj.bias",                role: "ffn_up_bias",      shape: ["ffn"],        when: isDense, optional: true },
    { name: "blk.{i}.ffn_down.weight",    source: "model.layers.{i}.mlp.down_proj.weight",            role: "ffn_down",         shape: ["embd", "ffn"],  when: isDense },
    { name: "blk.{i}.ffn_down.bias",      source: "model.layers.{i}.mlp.down_proj.bias",              role: "ffn_down_bias",    shape: ["embd"],       when: isDense, optional: true },
    { name: "output_norm.weight",         source: "model.norm.weight",                                role: "output_norm",      shape: ["embd"] },
    { name: "output.weight",              source: "lm_head.weight",                                   role: "output",           shape: ["vocab", "embd"] },
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"],
  decoder: (h) => ({
    norm: "rms",
    positions: "neighbours",
    activation: "silu",
    window: h.slidingWindow,
    normalizeExperts: true,
  }),
};
