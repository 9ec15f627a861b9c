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
import { ropeKeys, type ropeScaling } from "../rope-scaling.js";
import { expertBiases, experts, linear, norm, normBehindAttention, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";
import { expertKeys, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  head_dim: v.nullish(count, 64),
  rope_theta: v.nullish(positive, 150000),
  attention_bias: flag,
  num_local_experts: v.nullish(count),
  num_experts: v.nullish(count),
  num_experts_per_tok: v.nullish(count),
  experts_per_token: v.nullish(count),
  swiglu_alpha: v.nullish(positive, 1.702),
  swiglu_limit: v.nullish(positive, 7),
  sliding_window: v.nullish(count, 128),
  layer_types: layerTypes,
});

/** transformers' RoPE where the config has none. */
const USUAL_ROPE: v.InferOutput<typeof ropeScaling> = {
  rope_type: "yarn",
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};

/** Whether a layer has a window, where a file does not say. */
const usual = allButEvery(2);

const ALPHA = 1.702;
const LIMIT = 7;

function readGptOss(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? true, true);
  // llama.cpp takes these whatever a file says.
  expectField("swiglu_alpha", config.swiglu_alpha, ALPHA);
  expectField("swiglu_limit", config.swiglu_limit, LIMIT);
  const rope = config.rope_parameters ?? config.rope_scaling ?? USUAL_ROPE;
  const hasWindow = windowLayers(config, usual);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys({ ...config, rope_parameters: rope }, headDim(config)),
      ...expertKeys({
        count: config.num_local_experts ?? config.num_experts ?? 128,
        used: config.num_experts_per_tok ?? config.experts_per_token ?? 4,
        feedForwardLength: config.intermediate_size,
      }),
      ["attention.sliding_window", meta.u32(config.sliding_window ?? 128)],
      ...patternKeys("attention.sliding_window_pattern", hasWindow, usual),
    ],
    remarks:
      rope.truncate === false
        ? [
            "llama.cpp rounds where YaRN's blending begins and ends, which config.json forbids (truncate: false): its perplexity of this model is another",
          ]
        : [],
  };
}

const matrices = { gate: "gate_proj", down: "down_proj", up: "up_proj" };

/** Windows in every other layer, sinks, and biases everywhere. */
export const gptOss: Architecture = {
  name: "gpt-oss",
  covers: ["gpt-oss"],
  classes: ["GptOssForCausalLM"],
  read: reader(schema, readGptOss),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "always" }),
    tensor("attn_sinks", ["heads"], "model.layers.{i}.self_attn.sinks"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "always" }),
    normBehindAttention("model.layers.{i}.post_attention_layernorm"),
    tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.router.weight"),
    tensor("router_bias", ["experts"], "model.layers.{i}.mlp.router.bias", {}, ".bias"),
    ...experts("model.layers.{i}.mlp.experts.{e}", matrices),
    ...expertBiases("model.layers.{i}.mlp.experts", matrices),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  expertStacks: "inTurn",
  ignored: [],
  decoder: (h) => {
    const activation = { kind: "clamped_swiglu", parameters: [ALPHA, LIMIT] } as const;
    const router = routerOf(h, { gating: "softmaxOfChosen" });
    const rope = { pairs: "halves" } as const;
    return decoderOf(
      h,
      (layer) => {
        const { hasWindow = usual(layer) } = h.layers[layer]!;
        return attention({ rope, window: hasWindow ? h.slidingWindow : undefined });
      },
      { activation, router },
    );
  },
};
