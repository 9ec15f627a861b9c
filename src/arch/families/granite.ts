import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, HfModel } from "../architecture.js";
import { positive, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import {
  type AttentionTraits,
  type DecoderTraits,
  llamaKind,
  type RopePairs,
  type RouterTraits,
} from "../traits.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

export const graniteSchema = v.looseObject({
  ...llamaSchema.entries,
  attention_multiplier: v.nullish(positive),
  embedding_multiplier: v.nullish(positive),
  residual_multiplier: v.nullish(positive),
  logits_scaling: v.nullish(positive),
});

/** Decoders of the Llama kind with multipliers: of embeddings, scores and what layers add; logits are divided. */
export function scaledKind(h: HParams, pairs: RopePairs, router?: RouterTraits): DecoderTraits {
  const usual = llamaKind(h, pairs, { window: h.slidingWindow, ...(router && { router }) });
  const { attentionScale: scale, residualScale } = h;
  return {
    ...usual,
    ...(h.embeddingScale !== undefined && { embeddingScale: h.embeddingScale }),
    logitScale: h.logitScale && 1 / h.logitScale,
    layers: usual.layers.map((layer) => ({
      ...layer,
      mixer: { ...layer.mixer, ...(scale !== undefined && { scale }) } as AttentionTraits,
      residual: { of: "input", scale: residualScale },
    })),
  };
}

/** What they are. */
export function graniteKeys(config: v.InferOutput<typeof graniteSchema>): HfModel["keys"] {
  return [
    ["attention.scale", meta.f32(config.attention_multiplier ?? 1)],
    ["embedding_scale", meta.f32(config.embedding_multiplier ?? 1)],
    ["residual_scale", meta.f32(config.residual_multiplier ?? 1)],
    ["logit_scale", meta.f32(config.logits_scaling ?? 1)],
  ];
}

export function readGranite(config: v.InferOutput<typeof graniteSchema>): HfModel {
  const model = readLlama(config);
  return { ...model, keys: [...model.keys, ...graniteKeys(config)] };
}

/** Llamas with multipliers, which width does not change (muP). */
export const granite: Architecture = {
  ...llama,
  name: "granite",
  covers: ["Granite 3"],
  classes: ["GraniteForCausalLM"],
  read: reader(graniteSchema, readGranite),
  decoder: (h) => scaledKind(h, "neighbours"),
};
