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
  reader,
} from "../config.js";
import type { HParams } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, type DecoderTraits, decoderOf } from "../traits.js";
import { windowLayers } from "../windows.js";

export const qwenFields = { ...decoderFields, use_sliding_window: flag };
const schema = v.looseObject(qwenFields);

/** Of models without experts, which may have windows. */
export const windowFields = {
  sliding_window: v.nullish(count),
  max_window_layers: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0)), 28),
  layer_types: layerTypes,
};
const denseSchema = v.looseObject({ ...qwenFields, ...windowFields });

/** The same with windows, of which GGUF says nothing of a Qwen: in keys of our own. */
export function readWindowed(config: v.InferOutput<typeof denseSchema>): HfModel {
  const model = readQwen(config);
  const hasWindow = windowLayers(config, (layer) => layer >= config.max_window_layers);
  const { sliding_window: window = 4096 } = config;
  if (config.use_sliding_window !== true || window === null || !hasWindow.includes(true)) return model;
  return {
    ...model,
    keys: [
      ...model.keys,
      ["attention.sliding_window", meta.u32(window)],
      ["attention.sliding_window_pattern", meta.bools(hasWindow)],
    ],
    remarks: [
      `llama.cpp knows of no window of ${window} tokens in such a model, and lets every layer see all`,
    ],
  };
}

export function windowedDecoder(h: HParams): DecoderTraits {
  return decoderOf(h, (layer) => {
    const window = h.layers[layer]!.hasWindow === true ? h.slidingWindow : undefined;
    return attention({ rope: { pairs: "halves" }, window });
  });
}

/** What all Qwens since the second have in common, but for windows. */
export function readQwen(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config))],
  };
}

export const qwen2: Architecture = {
  name: "qwen2",
  covers: ["Qwen1.5, Qwen2 and Qwen2.5"],
  classes: ["Qwen2ForCausalLM"],
  read: reader(denseSchema, readWindowed),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "always" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: ["model.layers.{i}.self_attn.rotary_emb.inv_freq"],
  decoder: windowedDecoder,
};
