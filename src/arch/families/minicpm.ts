import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture } from "../architecture.js";
import { expectField, positive, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { scaledKind } from "./granite.js";
import { llama, llamaSchema, readLlama } from "./llama.js";

const schema = v.looseObject({
  ...llamaSchema.entries,
  scale_emb: v.nullish(positive),
  scale_depth: v.nullish(positive),
  dim_model_base: v.nullish(positive),
  num_experts: v.nullish(v.number()),
});

/** What files say that are older than the keys: the numbers of the first models. */
function withFirstScales(h: HParams): HParams {
  return {
    ...h,
    embeddingScale: h.embeddingScale ?? 12,
    residualScale: h.residualScale ?? 1.4 / Math.sqrt(h.blockCount),
    logitScale: h.logitScale ?? h.embeddingLength / 256,
  };
}

/** Llamas with multipliers; those of layers are by their number, those of logits by the width of the smallest model. */
export const minicpm: Architecture = {
  ...llama,
  name: "minicpm",
  covers: ["MiniCPM 1, 2 and 4"],
  year: 2025,
  classes: ["MiniCPMForCausalLM"],
  read: reader(schema, (config) => {
    expectField("num_experts", config.num_experts ?? 0, 0);
    const model = readLlama({ ...config, tie_word_embeddings: config.tie_word_embeddings ?? true });
    const depth = (config.scale_depth ?? 1) / Math.sqrt(config.num_hidden_layers);
    return {
      ...model,
      keys: [
        ...model.keys,
        ["embedding_scale", meta.f32(config.scale_emb ?? 1)],
        ["residual_scale", meta.f32(depth)],
        ["logit_scale", meta.f32(config.hidden_size / (config.dim_model_base ?? 1))],
      ],
    };
  }),
  decoder: (h) => scaledKind(withFirstScales(h), "neighbours"),
};
