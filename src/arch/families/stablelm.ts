import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { expectField, flag, headDim, layerNormFields, layerNormKeys, positive, reader } from "../config.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { gatedMlp, linear, norm, QKV_BIASES, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  ...layerNormFields,
  /** The first releases' names. */
  norm_eps: v.nullish(positive),
  rope_pct: v.nullish(positive),
  partial_rotary_factor: v.nullish(positive),
  qk_layernorm: flag,
  use_parallel_residual: flag,
  use_qkv_bias: flag,
});

const ATTENTION = "model.layers.{i}.self_attn";

/** With norms of queries and keys each head has a weight of its own; layers whose halves see the same have one norm. */
export const stablelm: Architecture = {
  name: "stablelm",
  covers: ["StableLM 3B, 2 1.6B and 2 12B"],
  classes: ["StableLmForCausalLM", "StableLMEpochForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    const isParallel = config.use_parallel_residual ?? false;
    const share = rotaryShare(config, config.rope_pct ?? 0.25);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...layerNormKeys({ ...config, layer_norm_eps: config.norm_eps ?? config.layer_norm_eps }),
        ...ropeKeys(config, Math.floor(headDim(config) * share), { isUsualUnsaid: true }),
        ["use_parallel_residual", meta.bool(isParallel)],
      ],
      optional: [
        ...(config.use_qkv_bias === true ? QKV_BIASES : []),
        ...(config.qk_layernorm === true ? (["attn_q_norm", "attn_k_norm"] as const) : []),
        ...(isParallel ? [] : (["ffn_norm", "ffn_norm_bias"] as const)),
      ],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm", { bias: "always" }),
    ...separateQkv(ATTENTION, { bias: "optional" }),
    tensor("attn_q_norm", ["heads", "head"], `${ATTENTION}.q_layernorm.norms.{e}.weight`, { optional: true }),
    tensor("attn_k_norm", ["headsKv", "head"], `${ATTENTION}.k_layernorm.norms.{e}.weight`, {
      optional: true,
    }),
    ...linear("attn_output", ["embd", "attn"], `${ATTENTION}.o_proj`),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm", {
      bias: "optional",
      optional: true,
    }),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: "silu" },
      parallel: h.parallelResidual ?? false,
    }),
  }),
};
