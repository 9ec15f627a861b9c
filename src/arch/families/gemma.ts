import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { ValueStep } from "../../tensor.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
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
import type { HParams } from "../hparams.js";
import { type RopeOptions, ropeKeys, ropeScaling } from "../rope-scaling.js";
import { gatedMlp, linear, norm as plainNorm, separateQkv, tensor } from "../rows.js";
import { type AttentionTraits, attention, type DecoderTraits, perLayer } from "../traits.js";
import { windowPeriodOf } from "../windows.js";

// Gemma multiplies by 1 + w in its norms, and its embeddings by the root of their length. Output and embedding are one.

const plusOne: readonly ValueStep[] = [{ kind: "add", value: 1 }];
const norm = (...[role, length, source]: Parameters<typeof plainNorm>): TensorRow[] =>
  plainNorm(role, length, source, { steps: plusOne });

const fields = {
  ...decoderFields,
  head_dim: v.optional(count, 256),
  hidden_activation: v.nullish(v.string()),
  query_pre_attn_scalar: v.nullish(positive),
  attn_logit_softcapping: v.nullish(positive),
  final_logit_softcapping: v.nullish(positive),
  sliding_window: v.nullish(count),
  sliding_window_pattern: v.nullish(count),
  layer_types: layerTypes,
  rope_local_base_freq: v.nullish(positive),
  use_bidirectional_attention: flag,
};
const schema = v.looseObject(fields);

interface GemmaKeys extends Pick<RopeOptions, "isUsualUnsaid"> {
  /** Of one generation. */
  readonly more?: HfModel["keys"];
}

function readGemma(
  config: v.InferOutput<typeof schema>,
  { more = [], isUsualUnsaid = true }: GemmaKeys,
): HfModel {
  // The first releases say "gelu" and mean its tanh form.
  const activation = config.hidden_activation ?? config.hidden_act ?? "gelu_pytorch_tanh";
  expectField("hidden_activation", activation, "gelu_pytorch_tanh", "gelu");
  expectField("tie_word_embeddings", config.tie_word_embeddings ?? true, true);
  expectField("use_bidirectional_attention", config.use_bidirectional_attention ?? false, false);
  return {
    vocabSize: config.vocab_size,
    tied: true,
    keys: [...decoderKeys(config), ...ropeKeys(config, headDim(config), { isUsualUnsaid }), ...more],
  };
}

const before: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  ...separateQkv("model.layers.{i}.self_attn"),
];
const after: readonly TensorRow[] = [
  ...gatedMlp("model.layers.{i}.mlp"),
  ...norm("output_norm", "embd", "model.norm"),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];
const attnOutput = linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj");
/** Norms before and after both halves of a block. */
const sandwich: readonly TensorRow[] = [
  ...attnOutput,
  ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
  ...norm("ffn_norm", "embd", "model.layers.{i}.pre_feedforward_layernorm"),
  ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_feedforward_layernorm"),
];

/** Of layers with that attention. */
function decoder(h: HParams, mixers: readonly AttentionTraits[], logitSoftcap?: number): DecoderTraits {
  return {
    norm: "rms",
    layers: mixers.map((mixer) => ({ mixer, feedForward: { activation: "gelu_tanh" } })),
    embeddingScale: Math.fround(Math.sqrt(h.embeddingLength)),
    logitSoftcap,
  };
}

const rope = { pairs: "halves" } as const;

export const gemma: Architecture = {
  name: "gemma",
  covers: ["Gemma"],
  classes: ["GemmaForCausalLM"],
  read: reader(schema, (config) => readGemma(config, {})),
  tensors: [
    ...before,
    ...attnOutput,
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...after,
  ],
  ignored: [],
  decoder: (h) =>
    decoder(
      h,
      perLayer(h, () => attention({ rope })),
    ),
};

/** The window, and how often a layer has none where that is not what loaders expect. */
function windowKeys(config: v.InferOutput<typeof schema>, usualPeriod: number): HfModel["keys"] {
  const { sliding_window, sliding_window_pattern, layer_types } = config;
  const hasWindow = layer_types?.map((type) => type === "sliding_attention");
  const period = hasWindow
    ? windowPeriodOf("config.json", hasWindow, usualPeriod)
    : (sliding_window_pattern ?? usualPeriod);
  const window = ["attention.sliding_window", meta.u32(sliding_window ?? 4096)] as const;
  return period === usualPeriod
    ? [window]
    : [window, ["attention.sliding_window_pattern", meta.u32(period)] as const];
}

/**
 * What q · k is multiplied by: the root of `query_pre_attn_scalar` is what it is divided by. GGUF does not say it of
 * Gemma: the largest models (by their layers) divide by the root of the embedding's length over the heads, the
 * others by that of a head's. A model of another scale gets a key of its own.
 */
function attentionScale(h: HParams, layersOfLargest: number): number {
  const isLargest = h.blockCount === layersOfLargest;
  const divisor = isLargest ? Math.floor(h.embeddingLength / h.headCount) : h.keyLength;
  return h.attentionScale ?? 1 / Math.sqrt(divisor);
}

function scaleKeys(config: v.InferOutput<typeof schema>, layersOfLargest: number): HfModel["keys"] {
  const isLargest = config.num_hidden_layers === layersOfLargest;
  const usual = isLargest
    ? Math.floor(config.hidden_size / config.num_attention_heads)
    : (config.head_dim ?? 256);
  const scalar = config.query_pre_attn_scalar ?? 256;
  return scalar === usual ? [] : [["attention.scale", meta.f32(1 / Math.sqrt(scalar))]];
}

/** Whether a layer has a window: of so many, the last has none. */
function hasWindow({ layers }: HParams, layer: number, usualPeriod: number): boolean {
  return layers[layer]!.hasWindow ?? layer % usualPeriod !== usualPeriod - 1;
}

/** Of so many layers the last has no window. */
const PERIOD = { gemma2: 2, gemma3: 6 };
const LAYERS_OF_27B = { gemma2: 46, gemma3: 62 };

export const gemma2: Architecture = {
  name: "gemma2",
  covers: ["Gemma 2"],
  classes: ["Gemma2ForCausalLM"],
  read: reader(schema, (config) =>
    readGemma(config, {
      more: [
        ...optional("attn_logit_softcapping", config.attn_logit_softcapping),
        ...optional("final_logit_softcapping", config.final_logit_softcapping),
        ...windowKeys(config, PERIOD.gemma2),
        ...scaleKeys(config, LAYERS_OF_27B.gemma2),
      ],
    }),
  ),
  tensors: [...before, ...sandwich, ...after],
  ignored: [],
  decoder: (h) => {
    const window = h.slidingWindow ?? 4096;
    const common = { rope, scale: attentionScale(h, LAYERS_OF_27B.gemma2), softcap: h.attentionSoftcap };
    const mixers = perLayer(h, (i) =>
      attention({ ...common, ...(hasWindow(h, i, PERIOD.gemma2) && { window }) }),
    );
    return decoder(h, mixers, h.logitSoftcap);
  },
};

// Config files leave out what transformers' Gemma3TextConfig takes for granted.
const gemma3Fields = {
  ...fields,
  vocab_size: v.optional(count, 262208),
  num_attention_heads: v.optional(count, 8),
  num_key_value_heads: v.optional(count, 4),
  max_position_embeddings: v.optional(count, 131072),
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_theta: v.optional(positive, 1e6),
  // Since transformers 5 each kind of layer has parameters of its own here.
  rope_parameters: v.nullish(
    v.looseObject({ full_attention: v.optional(ropeScaling), sliding_attention: v.optional(ropeScaling) }),
  ),
};
const gemma3Schema = v.looseObject(gemma3Fields);

function readGemma3({ rope_parameters, ...config }: v.InferOutput<typeof gemma3Schema>): HfModel {
  const { full_attention, sliding_attention } = rope_parameters ?? {};
  const localBase = sliding_attention?.rope_theta ?? config.rope_local_base_freq ?? 10000;
  const more: HfModel["keys"] = [
    ...optional("final_logit_softcapping", config.final_logit_softcapping),
    ...windowKeys(config, PERIOD.gemma3),
    ["rope.freq_base_swa", meta.f32(localBase)],
    ...scaleKeys(config, LAYERS_OF_27B.gemma3),
  ];
  return readGemma({ ...config, rope_parameters: full_attention }, { more, isUsualUnsaid: false });
}

export const gemma3: Architecture = {
  name: "gemma3",
  covers: ["Gemma 3"],
  year: 2025,
  classes: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
  read: reader(gemma3Schema, readGemma3),
  tensors: [
    ...before,
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm"),
    ...sandwich,
    ...after,
  ],
  ignored: [],
  decoder: (h) => {
    const scale = attentionScale(h, LAYERS_OF_27B.gemma3);
    const local = { pairs: "halves", base: h.windowRopeFreqBase ?? 10000 } as const;
    const mixers = perLayer(h, (i) =>
      hasWindow(h, i, PERIOD.gemma3) && h.slidingWindow !== undefined
        ? attention({ rope: local, window: h.slidingWindow, scale })
        : attention({ rope, scale }),
    );
    return decoder(h, mixers, h.logitSoftcap);
  },
};

function optional(key: string, value: number | null | undefined): HfModel["keys"] {
  return value == null ? [] : [[key, meta.f32(value)]];
}
