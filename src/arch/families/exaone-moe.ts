import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, headDim, layerTypes, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { norm, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, windowLayers } from "../windows.js";
import { patternOf, windowPattern } from "./exaone4.js";
import {
  expertFields,
  expertKeys,
  leadingDense,
  mixtureRows,
  mlpLayerTypes,
  none,
  readExpertFields,
  routerOf,
} from "./experts.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  sliding_window: v.nullish(count),
  sliding_window_pattern: windowPattern,
  layer_types: layerTypes,
  mlp_layer_types: mlpLayerTypes,
  first_last_k_dense_replace: v.nullish(none),
});

/** Says so where RoPE is not stretched, as llama.cpp's converter does for this architecture. */
function unscaled(rope: HfModel["keys"]): HfModel["keys"] {
  const isScaled = rope.some(([key]) => key === "rope.scaling.type");
  return isScaled ? rope : [...rope, ["rope.scaling.type", meta.string("none")]];
}

/** Norms stand before both halves of a block; layers without a window have no RoPE. */
export const exaoneMoe: Architecture = {
  name: "exaone-moe",
  covers: ["K-EXAONE"],
  year: 2025,
  classes: ["ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    const { sliding_window: window = 4096, layer_types: types } = config;
    if (window === null) throw badInput(t`config.json: sliding_window is missing`);
    const pattern = patternOf(config.sliding_window_pattern ?? 4);
    const mixture = readExpertFields(config, { gating: "sigmoid", normalize: true });
    const shared = mixture.sharedCount ?? 1;
    const dense = config.first_k_dense_replace ?? config.first_last_k_dense_replace ?? 1;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...unscaled(ropeKeys(config, headDim(config))),
        // As llama.cpp's converter counts what is left out here.
        ["nextn_predict_layers", meta.u32(0)],
        ["attention.sliding_window", meta.u32(window)],
        [
          "attention.sliding_window_pattern",
          meta.bools(windowLayers(config, types == null ? pattern : () => false)),
        ],
        ...expertKeys({
          ...mixture,
          sharedCount: shared,
          sharedFeedForwardLength: shared * config.moe_intermediate_size,
          leadingDenseCount: leadingDense(config.mlp_layer_types, config.num_hidden_layers, dense),
          scale: mixture.scale ?? 2.5,
        }),
      ],
      optional: ["selection_bias"],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      selection: [
        "model.layers.{i}.mlp.e_score_correction_bias",
        "model.layers.{i}.mlp.gate.e_score_correction_bias",
      ],
      options: { optional: true },
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(
      h,
      (layer) => {
        const { hasWindow = allButEvery(4)(layer) } = h.layers[layer]!;
        return hasWindow ? attention({ rope: { pairs: "halves" }, window: h.slidingWindow }) : attention({});
      },
      { activation: "silu", router: routerOf(h, { gating: "sigmoid" }) },
    ),
};
