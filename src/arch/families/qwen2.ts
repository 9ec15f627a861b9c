import * as v from "valibot";
import type { Architecture, HfModel } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";

export const qwenFields = { ...decoderFields, use_sliding_window: flag };
const schema = v.looseObject(qwenFields);

/** What all Qwens since the second have in common. */
export function readQwen(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("use_sliding_window", config.use_sliding_window ?? false, false);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
  };
}

export const qwen2: Architecture = {
  name: "qwen2",
  covers: ["Qwen1.5, Qwen2 and Qwen2.5"],
  classes: ["Qwen2ForCausalLM"],
  read: reader(schema, readQwen),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "always" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => llamaKind(h, "halves"),
};
