import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  layerTypes,
  positive,
  reader,
} from "../config.js";
import { type HParams, hasAttention, hasExperts, isDense } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import { experts, linear, norm, selectionBias, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf, type RouterTraits } from "../traits.js";
import { expertKeys, none, routerOf } from "./experts.js";

// Layers with a short convolution between two gates, and some with attention.

const schema = v.looseObject({
  ...decoderFields,
  intermediate_size: v.nullish(count),
  num_key_value_heads: v.nullish(count, 8),
  max_position_embeddings: v.nullish(count, 128_000),
  rms_norm_eps: v.nullish(positive),
  norm_eps: v.nullish(positive, 1e-5),
  conv_bias: flag,
  conv_L_cache: v.nullish(count, 3),
  layer_types: layerTypes,
  full_attn_idxs: v.nullish(v.array(none)),
  tie_embedding: flag,
});

const dense = v.looseObject({
  ...schema.entries,
  block_ff_dim: v.nullish(count),
  block_multiple_of: v.nullish(count, 256),
  block_ffn_dim_multiplier: v.optional(v.nullable(positive), 1),
  block_auto_adjust_ff_dim: v.nullish(v.boolean(), true),
});

const mixture = v.looseObject({
  ...schema.entries,
  moe_intermediate_size: v.nullish(count, 1792),
  num_dense_layers: v.nullish(none, 2),
  num_experts: v.nullish(count, 32),
  num_experts_per_tok: v.nullish(count, 4),
  norm_topk_prob: flag,
  use_expert_bias: flag,
  routed_scaling_factor: v.nullish(positive, 1),
});

/** Which layers have attention. @throws LlqError `bad-input`, `unsupported` for lists that do not fit */
function attentionLayers(config: v.InferOutput<typeof schema>): boolean[] {
  const { num_hidden_layers: layers, layer_types: types, full_attn_idxs: indices } = config;
  if (types == null) {
    return Array.from({ length: layers }, (_, i) => indices == null || indices.includes(i));
  }
  if (types.length !== layers) {
    throw badInput(t`config.json: layer_types has ${types.length} entries for ${layers} layers`);
  }
  for (const type of types) expectField("layer_types", type, "conv", "full_attention");
  return types.map((type) => type === "full_attention");
}

/** What both share, with feed-forwards of `width`. */
function readLfm2(config: v.InferOutput<typeof schema>, width: number): HfModel {
  expectField("conv_bias", config.conv_bias ?? false, false);
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const headsKv = attentionLayers(config).map((has) => (has ? config.num_key_value_heads : 0));
  const whole = { ...config, intermediate_size: width, rms_norm_eps: config.norm_eps };
  expectField("head_dim", config.head_dim ?? hidden / heads, hidden / heads);
  // Heads are as wide as they are by default, and convolutions' layers have none of keys.
  const keys = decoderKeys(whole)
    .filter(([key]) => !/_length$/.test(key) || !key.startsWith("attention."))
    .map(([key, field]) => [key, key === "attention.head_count_kv" ? meta.i32s(headsKv) : field] as const);
  return {
    vocabSize: config.vocab_size,
    tied: (config.tie_embedding ?? config.tie_word_embeddings) !== false,
    keys: [
      ...keys,
      ...ropeKeys(whole, hidden / heads, { base: 1_000_000 }),
      ["shortconv.l_cache", meta.u32(config.conv_L_cache)],
    ],
  };
}

const hasConv = (h: HParams, layer: number | undefined) => !hasAttention(h, layer);

const LAYER = "model.layers.{i}";
const own = { when: hasAttention } as const;
const conv = { when: hasConv } as const;

const mixers: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
  ...norm("attn_norm", "embd", `${LAYER}.operator_norm`),
  tensor("shortconv_conv", ["embd", "conv"], `${LAYER}.conv.conv.weight`, {
    ...conv,
    storedShape: ["embd", "one", "conv"],
  }),
  ...linear("shortconv_in", ["embd*3", "embd"], `${LAYER}.conv.in_proj`, conv),
  ...linear("shortconv_out", ["embd", "embd"], `${LAYER}.conv.out_proj`, conv),
  ...separateQkv(`${LAYER}.self_attn`, { q: own, k: own, v: own }),
  ...norm("attn_q_norm", "head", `${LAYER}.self_attn.q_layernorm`, own),
  ...norm("attn_k_norm", "head", `${LAYER}.self_attn.k_layernorm`, own),
  ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.out_proj`, own),
  ...norm("ffn_norm", "embd", `${LAYER}.ffn_norm`),
];

const MLP = `${LAYER}.feed_forward`;

const mlp: readonly TensorRow[] = [
  ...linear("ffn_gate", ["ffn", "embd"], `${MLP}.w1`, { when: isDense }),
  ...linear("ffn_up", ["ffn", "embd"], `${MLP}.w3`, { when: isDense }),
  ...linear("ffn_down", ["embd", "ffn"], `${MLP}.w2`, { when: isDense }),
];

const last: readonly TensorRow[] = [
  // GGUF calls it after the embeddings, which it has nothing to do with.
  ...norm("output_norm", "embd", "model.embedding_norm").map((row) => ({
    ...row,
    name: "token_embd_norm.weight",
  })),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];

function decoder(h: HParams, router?: RouterTraits) {
  const full = attention({ rope: { pairs: "halves" }, window: h.slidingWindow });
  return decoderOf(h, (layer) => (hasAttention(h, layer) ? full : { kind: "short-conv" }), {
    activation: "silu",
    ...(router && { router }),
  });
}

/** The width of feed-forwards, which older configs give before it is cut to a gate's. */
function feedForward(config: v.InferOutput<typeof dense>): number {
  const width = config.block_ff_dim ?? config.intermediate_size;
  if (width == null) throw badInput(t`config.json: intermediate_size is missing`);
  if (!config.block_auto_adjust_ff_dim) return width;
  const cut = Math.trunc((2 * width) / 3);
  const { block_ffn_dim_multiplier: factor, block_multiple_of: multiple } = config;
  return factor === null ? cut : multiple * Math.ceil(Math.trunc(factor * cut) / multiple);
}

export const lfm2: Architecture = {
  name: "lfm2",
  covers: ["LFM2 and LFM2.5"],
  year: 2026,
  classes: ["Lfm2ForCausalLM", "LFM2ForCausalLM"],
  read: reader(dense, (config) => readLfm2(config, feedForward(config))),
  tensors: [...mixers, ...mlp, ...last],
  ignored: [],
  decoder: (h) => decoder(h),
};

export const lfm2moe: Architecture = {
  name: "lfm2moe",
  covers: ["LFM2-MoE"],
  year: 2025,
  classes: ["Lfm2MoeForCausalLM"],
  read: reader(mixture, (config) => {
    const model = readLfm2(config, config.intermediate_size ?? 7168);
    const normalize = config.norm_topk_prob ?? true;
    const scale = config.routed_scaling_factor;
    const remarks = [
      ...(normalize
        ? []
        : [t`llama.cpp divides the weights of lfm2moe's experts by their sum: norm_topk_prob false`]),
      ...(scale === 1 ? [] : [t`llama.cpp does not scale lfm2moe's experts: routed_scaling_factor ${scale}`]),
    ];
    return {
      ...model,
      remarks,
      optional: config.use_expert_bias === false ? [] : ["selection_bias"],
      keys: [
        ...model.keys,
        ...expertKeys({
          count: config.num_experts,
          used: config.num_experts_per_tok,
          feedForwardLength: config.moe_intermediate_size,
          leadingDenseCount: config.num_dense_layers,
          gating: "sigmoid",
          // Keys that llama.cpp does not ask for here.
          normalize: normalize ? undefined : false,
          scale: scale === 1 ? undefined : scale,
        }),
      ],
    };
  }),
  tensors: [
    ...mixers,
    tensor("router", ["experts", "embd"], `${MLP}.gate.weight`, { when: hasExperts }),
    selectionBias(`${MLP}.expert_bias`, { when: hasExperts, optional: true }),
    ...experts(`${MLP}.experts.{e}`, { gate: "w1", down: "w2", up: "w3" }, { when: hasExperts }),
    ...mlp,
    ...last,
  ],
  ignored: [],
  decoder: (h) => decoder(h, routerOf(h, { gating: "sigmoid", normalize: true })),
};
