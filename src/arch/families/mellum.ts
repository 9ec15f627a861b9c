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
  headDim,
  layerTypes,
  reader,
} from "../config.js";
import { outsideWindows, ropeByLayer, ropeKeys } from "../rope-scaling.js";
import { norm, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, windowLayers } from "../windows.js";
import {
  expertFields,
  expertKeys,
  mixtureRows,
  mlpLayerTypes,
  readExpertFields,
  routerOf,
} from "./experts.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  rope_parameters: ropeByLayer,
  attention_bias: flag,
  use_sliding_window: flag,
  sliding_window: v.nullish(count),
  layer_types: layerTypes,
  mlp_layer_types: mlpLayerTypes,
});

function readMellum({ rope_parameters: ropes, ...config }: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  // llama.cpp has no other.
  expectField("norm_topk_prob", config.norm_topk_prob ?? true, true);
  expectField("mlp_layer_types", config.mlp_layer_types?.includes("dense") ?? false, false);
  const hasWindow = windowLayers(config, () => false);
  const window = config.use_sliding_window === false ? undefined : (config.sliding_window ?? undefined);
  if (window === undefined && config.use_sliding_window !== false && hasWindow.includes(true))
    throw badInput(t`config.json: sliding_window is missing`);
  const base = ropes?.full?.rope_theta ?? config.rope_theta ?? 500000;
  const windowBase = ropes?.window?.rope_theta ?? config.rope_theta ?? 10000;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(
        outsideWindows({ ...config, rope_theta: base, rope_parameters: ropes?.full }),
        headDim(config),
      ),
      ["rope.freq_base_swa", meta.f32(windowBase)],
      ...(window === undefined
        ? []
        : ([
            ["attention.sliding_window", meta.u32(window)],
            ["attention.sliding_window_pattern", meta.bools(hasWindow)],
          ] as const)),
      ...expertKeys({
        ...readExpertFields(config, { gating: "softmax", normalize: true }),
        gating: undefined,
        normalize: undefined,
      }),
    ],
    remarks:
      base === windowBase || !hasWindow.includes(true)
        ? []
        : [t`llama.cpp takes RoPE's base ${base} in layers with a window, too, where it is ${windowBase}`],
  };
}

/** Qwen3 with experts, and windows in most layers, whose RoPE is another and not stretched. */
export const mellum: Architecture = {
  name: "mellum",
  covers: ["Mellum 2"],
  year: 2026,
  classes: ["MellumForCausalLM"],
  read: reader(schema, readMellum),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows(),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(
      h,
      (layer) => {
        const { hasWindow = allButEvery(4)(layer) } = h.layers[layer]!;
        return h.slidingWindow !== undefined && hasWindow
          ? attention({
              rope: { pairs: "halves", base: h.windowRopeFreqBase, plain: true },
              window: h.slidingWindow,
            })
          : attention({ rope: { pairs: "halves" } });
      },
      { activation: "silu", router: routerOf(h, { gating: "softmax", normalize: true }) },
    ),
};
