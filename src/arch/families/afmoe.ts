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
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";
import { expertKeys, mixtureRows, none, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  head_dim: v.nullish(count, 128),
  attention_bias: flag,
  moe_intermediate_size: v.optional(count, 1408),
  num_dense_layers: v.nullish(none, 1),
  num_experts: v.optional(count, 64),
  num_experts_per_tok: v.optional(count, 6),
  num_shared_experts: v.nullish(none, 2),
  n_group: v.nullish(none),
  topk_group: v.nullish(none),
  score_func: v.nullish(v.string()),
  route_norm: flag,
  route_scale: v.nullish(positive, 1),
  global_attn_every_n_layers: v.nullish(count, 4),
  sliding_window: v.nullish(count, 1024),
  layer_types: layerTypes,
  mup_enabled: flag,
});

/** Whether a layer has a window, where a file does not say. */
const usual = allButEvery(4);

function readAfmoe(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("score_func", config.score_func ?? "sigmoid", "sigmoid");
  expectField("route_norm", config.route_norm ?? true, true);
  expectField("n_group", config.n_group ?? 1, 0, 1);
  // llama.cpp multiplies the embeddings whatever a file says.
  expectField("mup_enabled", config.mup_enabled ?? false, true);
  const hasWindow = windowLayers(config, allButEvery(config.global_attn_every_n_layers ?? 4));
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, headDim(config)),
      ...expertKeys({
        count: config.num_experts,
        used: config.num_experts_per_tok,
        feedForwardLength: config.moe_intermediate_size,
        sharedCount: config.num_shared_experts,
        leadingDenseCount: config.num_dense_layers,
        groupCount: config.n_group,
        groupsUsed: config.topk_group,
        gating: "sigmoid",
        normalize: true,
        scale: config.route_scale,
      }),
      ["attention.sliding_window", meta.u32(config.sliding_window ?? 1024)],
      ...patternKeys("attention.sliding_window_pattern", hasWindow, usual),
    ],
  };
}

/** Norms before and after both halves of a block, a gate for attention, and RoPE in layers with a window only. */
export const afmoe: Architecture = {
  name: "afmoe",
  covers: ["Trinity (AFMoE)"],
  year: 2025,
  classes: ["AfmoeForCausalLM"],
  read: reader(schema, readAfmoe),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm"),
    ...linear("attn_gate", ["attn", "embd"], "model.layers.{i}.self_attn.gate_proj"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.pre_mlp_layernorm"),
    ...mixtureRows({
      router: "model.layers.{i}.mlp.router.gate",
      selection: "model.layers.{i}.mlp.expert_bias",
    }),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_mlp_layernorm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const router = routerOf(h, { gating: "sigmoid" });
    const mixer = (layer: number) => {
      const { hasWindow = usual(layer) } = h.layers[layer]!;
      // Without windows at all, llama.cpp has RoPE nowhere, too.
      return hasWindow && h.slidingWindow !== undefined
        ? attention({ rope: { pairs: "halves" }, window: h.slidingWindow })
        : attention({});
    };
    return {
      ...decoderOf(h, mixer, { activation: "silu", router }),
      embeddingScale: Math.fround(Math.sqrt(h.embeddingLength)),
    };
  },
};
