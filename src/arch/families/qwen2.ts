import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { decoderFields, decoderKeys, expectField, flag, headDim, layerTypes, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, type DecoderTraits, decoderOf, type RouterTraits } from "../traits.js";
import { windowLayers } from "../windows.js";

export const qwenFields = {
  ...decoderFields,
  use_sliding_window: flag,
  sliding_window: v.nullish(v.pipe(v.number(), v.integer())),
  max_window_layers: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
  layer_types: layerTypes,
};
const schema = v.looseObject(qwenFields);

/**
 * What all Qwens since the second have in common.
 * @param usualWindow which layers have a window where the config has one and no layer_types
 */
export function readQwen(
  config: v.InferOutput<typeof schema>,
  usualWindow = (layer: number) => layer >= (config.max_window_layers ?? 28),
): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const window = windowOf(config);
  const hasWindow = windowLayers(config, usualWindow);
  const isWindowed = window !== undefined && hasWindow.includes(true);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, headDim(config)),
      ...(isWindowed
        ? ([
            ["attention.sliding_window", meta.u32(window)],
            ["attention.sliding_window_pattern", meta.bools(hasWindow)],
          ] as const)
        : []),
    ],
    remarks: isWindowed ? [t`some layers see ${window} tokens only; llama.cpp has them see all`] : [],
  };
}

/** @throws LlqError `bad-input` for a window of no tokens */
function windowOf({ use_sliding_window, sliding_window }: v.InferOutput<typeof schema>): number | undefined {
  if (use_sliding_window !== true || sliding_window === null) return undefined;
  const window = sliding_window ?? 4096;
  if (window > 0) return window;
  throw badInput(t`config.json: sliding_window is ${window}; a positive number is needed`);
}

export function qwenDecoder(h: HParams, router?: RouterTraits): DecoderTraits {
  const rope = { pairs: "halves" } as const;
  const mixer = (layer: number) =>
    attention({ rope, window: h.layers[layer]!.hasWindow ? h.slidingWindow : undefined });
  return decoderOf(h, mixer, { activation: "silu", ...(router && { router }) });
}

export const qwen2: Architecture = {
  name: "qwen2",
  covers: ["Qwen1.5, Qwen2 and Qwen2.5"],
  classes: ["Qwen2ForCausalLM"],
  read: reader(schema, (config) => readQwen(config)),
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
  decoder: (h) => qwenDecoder(h),
};
