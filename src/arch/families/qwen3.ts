import * as v from "valibot";
import type { Architecture, TensorRow } from "../architecture.js";
import { expectField, flag, reader } from "../config.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { qwenFields, readWindowed, windowedDecoder, windowFields } from "./qwen2.js";

const schema = v.looseObject({ ...qwenFields, ...windowFields, attention_bias: flag });

/** Queries and keys are normed, and nothing has a bias. */
export const qwen3Attention: readonly TensorRow[] = [
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  ...separateQkv("model.layers.{i}.self_attn"),
  ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
  ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm"),
  ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
];

export const qwen3: Architecture = {
  name: "qwen3",
  covers: ["Qwen3"],
  classes: ["Qwen3ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("attention_bias", config.attention_bias ?? false, false);
    return readWindowed(config);
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: windowedDecoder,
};
