import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, headDim, layerTypes, reader } from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, ropeFreqs, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, windowLayers } from "../windows.js";

/** Of so many layers the last has no window; or L and G for local and global, over and over. */
export const windowPattern = v.nullish(
  v.union([v.pipe(v.number(), v.integer(), v.minValue(0)), v.pipe(v.string(), v.regex(/^[LG]+$/))]),
);

const schema = v.looseObject({
  ...decoderFields,
  sliding_window: v.nullish(count),
  sliding_window_pattern: windowPattern,
  layer_types: layerTypes,
});

/** llama.cpp knows the model with windows by its layers. */
const LAYERS_WITH_WINDOWS = 64;

export function patternOf(pattern: string | number | null | undefined): (layer: number) => boolean {
  if (typeof pattern === "string") return (layer) => pattern[layer % pattern.length] === "L";
  if (typeof pattern === "number" && pattern > 0) return allButEvery(pattern);
  throw badInput(t`config.json: sliding_window without layer_types or a sliding_window_pattern`);
}

function readExaone4(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const width = headDim(config);
  const { sliding_window: window, sliding_window_pattern: pattern, layer_types: types } = config;
  const hasWindow =
    window == null ? [] : windowLayers(config, types == null ? patternOf(pattern) : () => false);
  const isKnown = hasWindow.length === 0 || hasWindow.length === LAYERS_WITH_WINDOWS;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, width),
      ...(window == null
        ? []
        : ([
            ["attention.sliding_window", meta.u32(window)],
            ["attention.sliding_window_pattern", meta.bools(hasWindow)],
          ] as const)),
    ],
    remarks: isKnown
      ? []
      : [
          t`llama.cpp has windows of an EXAONE 4 in models of ${LAYERS_WITH_WINDOWS} layers only, and will compute this one with full attention and RoPE everywhere`,
        ],
  };
}

/** Norms stand behind both halves of a block, and where there are windows, layers without one have no RoPE. */
export const exaone4: Architecture = {
  name: "exaone4",
  covers: ["EXAONE 4"],
  year: 2025,
  classes: ["Exaone4ForCausalLM"],
  read: reader(schema, readExaone4),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ropeFreqs,
    ...separateQkv("model.layers.{i}.self_attn"),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_feedforward_layernorm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(h, (layer) => {
      const rope = { pairs: "halves" } as const;
      if (h.slidingWindow === undefined) return attention({ rope });
      const { hasWindow = allButEvery(4)(layer) } = h.layers[layer]!;
      return hasWindow ? attention({ rope, window: h.slidingWindow }) : attention({});
    }),
};
