import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  layerTypes,
  positive,
  reader,
} from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, perLayer } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";

const { rms_norm_eps: _, ...fields } = decoderFields;
export const cohere2Schema = v.looseObject({
  ...fields,
  layer_norm_eps: v.optional(positive, 1e-5),
  logit_scale: v.optional(positive, 0.0625),
  attention_bias: flag,
  sliding_window: v.optional(count, 4096),
  sliding_window_pattern: v.nullish(count, 4),
  layer_types: layerTypes,
});

/** Whether a layer has a window, where a file does not say. */
const usual = allButEvery(4);

function readCohere2(config: v.InferOutput<typeof cohere2Schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  const hasWindow = windowLayers(config, allButEvery(config.sliding_window_pattern ?? 4));
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...decoderKeys({ ...config, rms_norm_eps: config.layer_norm_eps }).filter(
        ([key]) => key !== "attention.layer_norm_rms_epsilon",
      ),
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_eps)],
      ["logit_scale", meta.f32(config.logit_scale)],
      ["attention.sliding_window", meta.u32(config.sliding_window)],
      ...patternKeys("attention.sliding_window_pattern", hasWindow, usual),
      // As other converters write it; a kind of scaling in the config counts all the same.
      ["rope.scaling.type", meta.string("none")],
      ...ropeKeys(config, headDim(config)),
    ],
  };
}

/** Both halves of a block see one norm, and only layers with a window have RoPE. */
export const cohere2: Architecture = {
  name: "cohere2",
  covers: ["Command R7B and Command A"],
  year: 2025,
  classes: ["Cohere2ForCausalLM"],
  read: reader(cohere2Schema, readCohere2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    logitScale: h.logitScale,
    layers: perLayer(h, (layer) => {
      const { hasWindow = usual(layer) } = h.layers[layer]!;
      return {
        mixer: hasWindow
          ? attention({ rope: { pairs: "neighbours" }, window: h.slidingWindow })
          : attention({}),
        feedForward: { activation: "silu" },
        parallel: true,
      };
    }),
  }),
};
