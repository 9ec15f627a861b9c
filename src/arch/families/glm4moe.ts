import * as v from "valibot";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  positive,
  reader,
} from "../config.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { linear, norm, normBehindAttention, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { expertFields, expertKeys, mixtureRows, readExpertFields, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  // Solar has no layer without experts, and need not say how wide one would be.
  intermediate_size: v.nullish(count),
  attention_bias: flag,
  use_qk_norm: flag,
  partial_rotary_factor: v.nullish(positive),
});

type Config = v.InferOutput<typeof schema>;

/** @param share of a head that RoPE turns, where the config does not say */
function readGlm(config: Config, share: number): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const mixture = readExpertFields(config, { gating: "sigmoid", normalize: true });
  const sized = { ...config, intermediate_size: config.intermediate_size ?? config.moe_intermediate_size };
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(sized),
      ...ropeKeys(config, Math.floor(headDim(config) * rotaryShare(config, share))),
      ...expertKeys({ ...mixture, sharedCount: mixture.sharedCount ?? 1 }),
    ],
    optional: [
      ...(config.attention_bias === true ? QKV_BIASES : []),
      ...(config.use_qk_norm === true ? (["attn_q_norm", "attn_k_norm"] as const) : []),
    ],
  };
}

/** Dense layers first; behind them the experts' router chooses by sigmoid and a bias, of groups if there are any. */
export const glm4moe: Architecture = {
  name: "glm4moe",
  covers: ["GLM-4.5, 4.6 and 4.7"],
  year: 2025,
  classes: ["Glm4MoeForCausalLM", "Glm4vMoeForConditionalGeneration"],
  read: reader(schema, (config) =>
    readGlm({ ...config, first_k_dense_replace: config.first_k_dense_replace ?? 1 }, 0.5),
  ),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm", { optional: true }),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm", { optional: true }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    normBehindAttention("model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({ selection: "model.layers.{i}.mlp.gate.e_score_correction_bias" }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "sigmoid" }) }),
};

/** In a GGUF it is a GLM. */
export const solarOpen: Architecture = {
  ...glm4moe,
  covers: ["Solar Open"],
  year: 2026,
  classes: ["SolarOpenForCausalLM"],
  read: reader(schema, (config) =>
    readGlm({ ...config, first_k_dense_replace: config.first_k_dense_replace ?? 0 }, 1),
  ),
};
