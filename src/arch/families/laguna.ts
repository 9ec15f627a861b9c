import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  layerTypes,
  positive,
  reader,
} from "../config.js";
import { outsideWindows, ropeByLayer, ropeKeys } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { patternKeys, windowLayers } from "../windows.js";
import { expertFields, expertKeys, leadingDense, mixtureRows, mlpLayerTypes, routerOf } from "./experts.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  num_experts: count,
  head_dim: v.optional(count, 128),
  rope_parameters: ropeByLayer,
  attention_bias: flag,
  /** One gate for each head, or for each number. */
  gating: v.nullish(v.union([v.boolean(), v.string()])),
  gating_types: v.nullish(v.array(v.string())),
  num_attention_heads_per_layer: v.nullish(v.array(count)),
  shared_expert_intermediate_size: count,
  moe_routed_scaling_factor: v.nullish(positive, 1),
  moe_apply_router_weight_on_input: flag,
  moe_router_logit_softcapping: v.nullish(v.number()),
  sliding_window: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
  layer_types: layerTypes,
  mlp_layer_types: mlpLayerTypes,
});

/** Whether a layer has a window, where a file does not say. */
const usual = (layer: number) => layer % 4 !== 0;

function readLaguna({ rope_parameters: ropes, ...config }: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  const gatings = config.gating_types ?? [config.gating ?? true];
  for (const gating of gatings) expectField("gating", gating, true, "per-head", "per_head");
  expectField("moe_apply_router_weight_on_input", config.moe_apply_router_weight_on_input ?? false, false);
  expectField("moe_router_logit_softcapping", config.moe_router_logit_softcapping ?? 0, 0);
  const { num_hidden_layers: layers, head_dim: width, num_attention_heads_per_layer: list } = config;
  if (list != null && list.length !== layers)
    throw badInput(t`config.json: num_attention_heads_per_layer has ${list.length} of ${layers} layers`);
  const hasWindow = windowLayers(config, () => false);
  const window = hasWindow.includes(true) ? (config.sliding_window ?? 512) : 0;
  const { full, window: inWindow } = ropes ?? {};
  const share = full?.partial_rotary_factor ?? (ropes == null ? 0.5 : 1);
  const base = full?.rope_theta ?? config.rope_theta ?? 500000;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ["attention.head_count", meta.i32s(list ?? new Array(layers).fill(config.num_attention_heads))],
      ...ropeKeys(
        outsideWindows({ ...config, rope_theta: base, rope_parameters: full }),
        Math.floor(width * share),
      ),
      ["rope.freq_base_swa", meta.f32(inWindow?.rope_theta ?? 10000)],
      ["rope.dimension_count_swa", meta.u32(Math.floor(width * (inWindow?.partial_rotary_factor ?? 1)))],
      ...(window === 0
        ? []
        : [
            ["attention.sliding_window", meta.u32(window)] as const,
            ...patternKeys("attention.sliding_window_pattern", hasWindow, usual),
          ]),
      ...expertKeys({
        count: config.num_experts,
        used: config.num_experts_per_tok,
        feedForwardLength: config.moe_intermediate_size,
        sharedFeedForwardLength: config.shared_expert_intermediate_size,
        leadingDenseCount: leadingDense(config.mlp_layer_types, layers, 1),
        gating: "sigmoid",
        normalize: true,
        scale: config.moe_routed_scaling_factor,
      }),
    ],
  };
}

/** Layers have heads in numbers of their own, each with a gate; those with a window turn more of a head, unstretched. */
export const laguna: Architecture = {
  name: "laguna",
  covers: ["Laguna XS and S"],
  year: 2026,
  classes: ["LagunaForCausalLM"],
  read: reader(schema, readLaguna),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...linear("attn_gate", ["heads", "embd"], "model.layers.{i}.self_attn.g_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      shared: "model.layers.{i}.mlp.shared_expert",
      selection: [
        "model.layers.{i}.mlp.experts.e_score_correction_bias",
        "model.layers.{i}.mlp.gate.e_score_correction_bias",
      ],
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(
      h,
      (layer) => {
        const { hasWindow = usual(layer) } = h.layers[layer]!;
        return h.slidingWindow !== undefined && hasWindow
          ? attention({
              rope: {
                ...{ pairs: "halves", base: h.windowRopeFreqBase, plain: true },
                dimensionCount: h.windowRopeDimensionCount,
              },
              window: h.slidingWindow,
              gating: "softplus",
            })
          : attention({ rope: { pairs: "halves" }, gating: "softplus" });
      },
      { activation: "silu", router: routerOf(h, { gating: "sigmoid", normalize: true }) },
    ),
};
