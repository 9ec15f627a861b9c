import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, positive, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { permuteK, permuteQ } from "./llama.js";

const { rms_norm_eps: _, ...fields } = decoderFields;
const schema = v.looseObject({
  ...fields,
  attention_bias: flag,
  clip_qkv: v.nullish(v.union([positive, v.literal(0)])),
});

/** Of the norms; the config has none. */
const EPSILON = 1e-5;

/** Layer norms without weights or biases, which no tensor shows; queries, keys and values may be limited. */
export const olmo: Architecture = {
  name: "olmo",
  covers: ["OLMo"],
  classes: ["OlmoForCausalLM", "OLMoForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    // llama.cpp has no place for them.
    expectField("attention_bias", config.attention_bias ?? false, false);
    const keys = decoderKeys({ ...config, rms_norm_eps: EPSILON });
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...keys.filter(([key]) => key !== "attention.layer_norm_rms_epsilon"),
        ["attention.layer_norm_epsilon", meta.f32(EPSILON)],
        ...(config.clip_qkv ? [["attention.clamp_kqv", meta.f32(config.clip_qkv)] as const] : []),
        ...ropeKeys(config, headDim(config)),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...separateQkv("model.layers.{i}.self_attn", { q: { transform: permuteQ }, k: { transform: permuteK } }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...gatedMlp("model.layers.{i}.mlp"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => ({
    ...decoderOf(h, () => attention({ rope: { pairs: "neighbours" }, clampQkv: h.clampQkv })),
    norm: "layer",
    bareNorms: true,
  }),
};
