import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderKeys, expectField, flag, headDim, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, perLayer } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";
import { cohere2Schema } from "./cohere2.js";
import { expertKeys, leadingDense, mixtureRows, mlpLayerTypes, none, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...cohere2Schema.entries,
  head_dim: v.nullish(count, 128),
  rms_norm_eps: v.nullish(v.number()),
  num_experts: v.optional(count, 8),
  num_experts_per_tok: v.optional(count, 2),
  num_shared_experts: v.nullish(none, 0),
  shared_expert_combination_strategy: v.nullish(v.string()),
  expert_selection_fn: v.nullish(v.picklist(["softmax", "sigmoid"]), "softmax"),
  norm_topk_prob: flag,
  prefix_dense_intermediate_size: v.nullish(count),
  prefix_dense_sliding_window_pattern: v.nullish(count, 1),
  first_k_dense_replace: v.nullish(none),
  mlp_layer_types: mlpLayerTypes,
});
type Config = v.InferOutput<typeof schema>;

function readCohere2Moe(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("rms_norm_eps", config.rms_norm_eps ?? null, null);
  const combined = config.shared_expert_combination_strategy ?? "average";
  expectField("shared_expert_combination_strategy", combined, "average");
  const { mlp_layer_types: types, num_hidden_layers: layers, first_k_dense_replace } = config;
  const dense = leadingDense(types, layers, first_k_dense_replace ?? 0);
  const period = config.prefix_dense_sliding_window_pattern;
  const hasWindow = windowLayers(config, (i) =>
    i < dense ? allButEvery(period)(i) : allButEvery(config.sliding_window_pattern ?? 4)(i - dense),
  );
  const hasRope = hasWindow.map((has, i) => has || (i < dense && period === 1));
  const isSoftmax = config.expert_selection_fn === "softmax";
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...decoderKeys({
        ...config,
        rms_norm_eps: config.layer_norm_eps,
        intermediate_size: config.prefix_dense_intermediate_size ?? config.intermediate_size,
      }).filter(([key]) => key !== "attention.layer_norm_rms_epsilon"),
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_eps)],
      ["logit_scale", meta.f32(config.logit_scale)],
      ["attention.sliding_window", meta.u32(config.sliding_window)],
      ["attention.sliding_window_pattern", meta.bools(hasWindow)],
      ...patternKeys("attention.rope_pattern", hasRope, (i) => hasWindow[i]! || i < dense),
      ["rope.scaling.type", meta.string("none")],
      ...ropeKeys(config, headDim(config)),
      ...expertKeys({
        count: config.num_experts,
        used: config.num_experts_per_tok,
        feedForwardLength: config.intermediate_size,
        leadingDenseCount: dense,
        gating: isSoftmax ? "softmax" : "sigmoid",
        // Softmax is over the chosen: over all, and then normalized.
        normalize: isSoftmax || (config.norm_topk_prob ?? true),
        ...(config.num_shared_experts > 0 && {
          sharedCount: config.num_shared_experts,
          sharedFeedForwardLength: config.num_shared_experts * config.intermediate_size,
        }),
      }),
    ],
  };
}

/** Command's block with experts; the shared one and what the others give are averaged. */
export const cohere2moe: Architecture = {
  name: "cohere2moe",
  covers: ["North Mini (Cohere2 with experts)"],
  year: 2026,
  classes: ["Cohere2MoeForCausalLM"],
  read: reader(schema, readCohere2Moe),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...mixtureRows(),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const half = h.sharedExpertCount > 0 ? 0.5 : 1;
    const routing = routerOf(h, { gating: "sigmoid" });
    const router = { ...routing, scale: half * (routing.scale ?? 1), sharedScale: half };
    return {
      norm: "layer",
      logitScale: h.logitScale,
      layers: perLayer(h, (layer) => {
        const { hasWindow = layer % 4 !== 0, hasRope = hasWindow || layer < h.leadingDenseCount } =
          h.layers[layer]!;
        const rope = hasRope ? ({ pairs: "neighbours" } as const) : undefined;
        return {
          mixer: attention({ rope, window: hasWindow ? h.slidingWindow : undefined }),
          feedForward: { activation: "silu", router },
          parallel: true,
        };
      }),
    };
  },
};
