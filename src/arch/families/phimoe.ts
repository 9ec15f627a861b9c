import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  positive,
  reader,
} from "../config.js";
import { ropeKeys, ropeScaling } from "../rope-scaling.js";
import { ATTENTION_BIASES, experts, linear, norm, ropeFactors, separateQkv, tensor } from "../rows.js";
import { llamaKind, type RouterTraits } from "../traits.js";
import { expertKeys } from "./experts.js";

const scaling = v.looseObject({
  ...ropeScaling.entries,
  short_mscale: v.nullish(positive),
  long_mscale: v.nullish(positive),
});

const schema = v.looseObject({
  ...decoderFields,
  rope_scaling: v.nullish(scaling),
  rope_parameters: v.nullish(scaling),
  original_max_position_embeddings: v.nullish(count),
  attention_bias: flag,
  lm_head_bias: flag,
  sliding_window: v.nullish(count),
  num_local_experts: count,
  num_experts_per_tok: count,
  router_jitter_noise: v.nullish(v.pipe(v.number(), v.minValue(0))),
});

type Config = v.InferOutput<typeof schema>;

/** Of the router; what published models have. */
const JITTER = 0.01;

/** transformers takes lengths of cosine and sine from the config, and always the divisors for short texts. */
function lengthsOf(config: Config): HfModel["keys"] {
  const rope = config.rope_parameters ?? config.rope_scaling;
  if (rope?.short_mscale == null || rope.long_mscale == null) return [];
  return [
    ["rope.scaling.short_mscale", meta.f32(rope.short_mscale)],
    ["rope.scaling.long_mscale", meta.f32(rope.long_mscale)],
  ];
}

function readPhiMoe(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("num_experts_per_tok", config.num_experts_per_tok, 2);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, headDim(config)),
      ...lengthsOf(config),
      // 0 is how llama.cpp knows the models without a window.
      ["attention.sliding_window", meta.u32(config.sliding_window ?? 0)],
      ...expertKeys({ count: config.num_local_experts, used: config.num_experts_per_tok }),
      // llq's own.
      ["router_jitter", meta.f32(config.router_jitter_noise ?? JITTER)],
    ],
    optional: [
      ...(config.attention_bias === true ? ATTENTION_BIASES : []),
      ...(config.lm_head_bias === true ? (["output_bias"] as const) : []),
    ],
    remarks: [
      t`llama.cpp takes RMS norms and the usual softmax of a Phi-MoE for its layer norms and its router: on tiny random models ln(perplexity) was 0.03 to 0.09 off`,
    ],
  };
}

/** Layer norms with biases; two experts, the second chosen among what is left, each weighed by its share of those near it. */
export const phimoe: Architecture = {
  name: "phimoe",
  covers: ["Phi-3.5-MoE"],
  classes: ["PhiMoEForCausalLM", "PhimoeForCausalLM"],
  read: reader(schema, readPhiMoe),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...ropeFactors,
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm", { bias: "always" }),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm", { bias: "always" }),
    tensor(
      "router",
      ["experts", "embd"],
      ["model.layers.{i}.block_sparse_moe.gate.weight", "model.layers.{i}.mlp.router.weight"],
    ),
    ...experts(["model.layers.{i}.block_sparse_moe.experts.{e}", "model.layers.{i}.mlp.experts.{e}"], {
      gate: "w1",
      down: "w2",
      up: "w3",
    }),
    ...norm("output_norm", "embd", "model.norm", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
    tensor("output_bias", ["vocab"], "lm_head.bias", { optional: true }, ".bias"),
  ],
  ignored: [],
  decoder: (h) => {
    const router: RouterTraits = { gating: "sparsemixer", jitter: h.router.jitter ?? JITTER };
    const kind = llamaKind(h, "halves", { window: h.slidingWindow, router });
    const rope = { pairs: "halves", shortDivisors: h.ropeMscale !== undefined } as const;
    return {
      ...kind,
      norm: "layer",
      layers: kind.layers.map((layer) => ({ ...layer, mixer: { ...layer.mixer, rope } })),
    };
  },
};
