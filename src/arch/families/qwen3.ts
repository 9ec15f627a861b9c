import * as v from "valibot";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, flag, reader } from "../config.js";
import { ATTENTION_BIASES, gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { qwenDecoder, qwenFields, readQwen } from "./qwen2.js";

const schema = v.looseObject({ ...qwenFields, head_dim: v.optional(count, 128), attention_bias: flag });

/** With the biases of attention, where it has any. */
export function withBiases(model: HfModel, hasBiases: boolean | null | undefined): HfModel {
  if (hasBiases !== true) return model;
  return {
    ...model,
    optional: ATTENTION_BIASES,
    remarks: [...(model.remarks ?? []), t`llama.cpp loads no Qwen3 whose attention's output has a bias`],
  };
}

/** Queries and keys are normed. */
export const qwen3Attention: readonly TensorRow[] = [
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
  ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
  ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm"),
  ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
];

export const qwen3: Architecture = {
  name: "qwen3",
  covers: ["Qwen3"],
  year: 2025,
  classes: ["Qwen3ForCausalLM"],
  read: reader(schema, (config) => withBiases(readQwen(config), config.attention_bias)),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => qwenDecoder(h),
};
