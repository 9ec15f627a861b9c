import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture } from "../architecture.js";
import {
  count,
  expectField,
  flag,
  headDim,
  layerNormFields,
  layerNormKeys,
  positive,
  reader,
} from "../config.js";
import { ropeKeys } from "../rope-scaling.js";
import { ATTENTION_BIASES, gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  ...layerNormFields,
  model_max_length: v.nullish(count),
  logit_scale: v.optional(positive, 0.0625),
  attention_bias: flag,
  use_qk_norm: flag,
});

/** Of so many layers llama.cpp's loader asks for norms of queries and keys, and of fewer it knows none. */
const LAYERS_WITH_NORMS = 64;

/** One norm for both halves of a layer. Checkpoints pair neighbours for RoPE, as GGUF does. */
export const commandR: Architecture = {
  name: "command-r",
  covers: ["Command-R and Aya"],
  classes: ["CohereForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    const context = config.model_max_length ?? config.max_position_embeddings;
    const hasNorms = config.use_qk_norm === true;
    const isUnusual = hasNorms !== config.num_hidden_layers >= LAYERS_WITH_NORMS;
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings !== false,
      keys: [
        ...layerNormKeys({ ...config, max_position_embeddings: context }),
        ...ropeKeys(config, headDim(config), { base: 500000 }),
        ["logit_scale", meta.f32(config.logit_scale)],
        ...(config.rope_scaling?.type ? [] : [["rope.scaling.type", meta.string("none")] as const]),
      ],
      optional: [
        ...(hasNorms ? (["attn_q_norm", "attn_k_norm"] as const) : []),
        ...(config.attention_bias ? ATTENTION_BIASES : []),
      ],
      remarks: isUnusual
        ? [
            t`llama.cpp loads models with norms of queries and keys from ${LAYERS_WITH_NORMS} layers on, without them below; this has ${config.num_hidden_layers}`,
          ]
        : [],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    tensor("attn_q_norm", ["heads", "head"], "model.layers.{i}.self_attn.q_norm.weight", { optional: true }),
    tensor("attn_k_norm", ["headsKv", "head"], "model.layers.{i}.self_attn.k_norm.weight", {
      optional: true,
    }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "neighbours" } }),
      feedForward: { activation: "silu" },
      parallel: true,
    }),
    logitScale: h.logitScale,
  }),
};
