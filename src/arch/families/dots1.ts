import * as v from "valibot";
import type { Architecture } from "../architecture.js";
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
import { ropeKeys } from "../rope-scaling.js";
import { norm, tensor } from "../rows.js";
import { llamaKind } from "../traits.js";
import { expertFields, expertKeys, mixtureRows, readExpertFields, routerOf } from "./experts.js";
import { qwen3Attention } from "./qwen3.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  attention_bias: flag,
  sliding_window: v.nullish(count),
  max_window_layers: v.nullish(v.number()),
  layer_types: layerTypes,
});

type Config = v.InferOutput<typeof schema>;

/** Layers from the `max_window_layers`th on have a window, where the config does not list them. */
function hasWindow({ layer_types, sliding_window, max_window_layers, num_hidden_layers }: Config): boolean {
  if (layer_types != null) return layer_types.includes("sliding_attention");
  return sliding_window != null && (max_window_layers ?? 62) < num_hidden_layers;
}

/** Qwen3's attention before experts that are chosen by sigmoid and a bias, and such as are shared. */
export const dots1: Architecture = {
  name: "dots1",
  covers: ["dots.llm1"],
  year: 2025,
  classes: ["Dots1ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("attention_bias", config.attention_bias ?? false, false);
    // GGUF's readers see no window in this architecture.
    if (hasWindow(config)) expectField("sliding_window", config.sliding_window, null);
    const mixture = readExpertFields(config, { gating: "sigmoid", normalize: false });
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config),
        ...ropeKeys(config, headDim(config)),
        ...expertKeys({ ...mixture, leadingDenseCount: mixture.leadingDenseCount ?? 0 }),
      ],
      optional: ["selection_bias"],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...qwen3Attention,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      selection: "model.layers.{i}.mlp.gate.e_score_correction_bias",
      options: { optional: true },
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => llamaKind(h, "halves", { router: routerOf(h, { gating: "sigmoid" }) }),
};
