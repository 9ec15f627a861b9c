import * as v from "valibot";
import type { Architecture } from "../architecture.js";
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
import { ropeKeys } from "../rope-scaling.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { expertKeys, mixtureRows, none, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  use_bias: flag,
  moe_intermediate_size: count,
  moe_k: count,
  moe_num_experts: count,
  moe_num_shared_experts: v.nullish(none),
  moe_layer_start_index: v.nullish(none),
  moe_layer_end_index: v.nullish(v.number()),
  moe_layer_interval: v.nullish(count),
  moe_norm_min: v.nullish(positive),
});

/** RoPE turns neighbours as they are stored; experts are chosen by softmax and a bias, such as are shared are not gated. */
export const ernie45moe: Architecture = {
  name: "ernie4_5-moe",
  covers: ["ERNIE 4.5 (mixtures of experts)"],
  year: 2025,
  classes: ["Ernie4_5_MoeForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    // Its output would have a bias, too, for which GGUF has no name here.
    expectField("use_bias", config.use_bias ?? false, false);
    const last = config.num_hidden_layers - 1;
    const end = config.moe_layer_end_index ?? -1;
    // Layers without experts at the end are what GGUF has no key for.
    if (end !== -1 && end < last) expectField("moe_layer_end_index", end, -1, last);
    const shared = config.moe_num_shared_experts ?? 2;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings ?? true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys({ ...config, rope_theta: config.rope_theta ?? 500000 }, headDim(config)),
        ...expertKeys({
          count: config.moe_num_experts,
          used: config.moe_k,
          feedForwardLength: config.moe_intermediate_size,
          sharedCount: shared,
          sharedFeedForwardLength: shared === 0 ? undefined : shared * config.moe_intermediate_size,
          leadingDenseCount: config.moe_layer_start_index ?? 1,
          layerStep: config.moe_layer_interval ?? 1,
        }),
      ],
      optional: ["selection_bias"],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      selection: "model.layers.{i}.mlp.moe_statics.e_score_correction_bias",
      options: { storedShape: ["one", "experts"], optional: true },
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "neighbours", { router: routerOf(h, { gating: "softmax", normalize: true }) }),
};
