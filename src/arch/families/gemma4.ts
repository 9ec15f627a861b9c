import * as v from "valibot";
import { badInput, LlqError } from "../../../formats/errors.js";
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
import { type HParams, hasExperts } from "../hparams.js";
import { ropeScaling } from "../rope-scaling.js";
import { gatedMlp, layerInputs, linear, norm, ropeFreqs, separateQkv, tensor } from "../rows.js";
import { attention, perLayer, type RouterTraits } from "../traits.js";
import { expertKeys, none } from "./experts.js";
import { hasKeys, sharedKeys, sharingRemarks } from "./sharing.js";

// Gemma 4's norms multiply by w, not 1 + w as older Gemmas' do. Layers with a window and those without have heads of two
// widths; values are normed without a weight, and may be the keys.

const override = v.looseObject({ head_dim: v.nullish(count), num_key_value_heads: v.nullish(count) });
const byKind = v.looseObject({ full_attention: ropeScaling, sliding_attention: ropeScaling });

/** transformers' RoPE where the config has none. */
const USUAL_ROPE: v.InferOutput<typeof byKind> = {
  sliding_attention: { rope_type: "default", rope_theta: 10000 },
  full_attention: { rope_type: "proportional", partial_rotary_factor: 0.25, rope_theta: 1e6 },
};

// Config files leave out what transformers' Gemma4TextConfig takes for granted.
const schema = v.looseObject({
  ...decoderFields,
  num_key_value_heads: v.optional(count, 4),
  head_dim: v.optional(count, 256),
  vocab_size: v.optional(count, 262144),
  max_position_embeddings: v.optional(count, 131072),
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_parameters: v.nullish(byKind, USUAL_ROPE),
  hidden_activation: v.nullish(v.string()),
  sliding_window: v.optional(count, 512),
  layer_types: layerTypes,
  global_head_dim: v.nullish(count),
  num_global_key_value_heads: v.nullish(count),
  per_layer_config: v.nullish(v.record(v.string(), override)),
  final_logit_softcapping: v.nullish(positive),
  attention_bias: flag,
  attention_k_eq_v: flag,
  enable_moe_block: flag,
  num_experts: v.nullish(count),
  top_k_experts: v.nullish(count),
  moe_intermediate_size: v.nullish(count),
  hidden_size_per_layer_input: v.nullish(none, 256),
  vocab_size_per_layer_input: v.optional(count, 262144),
  num_kv_shared_layers: v.nullish(none, 0),
  use_double_wide_mlp: flag,
  use_bidirectional_attention: v.nullish(v.string()),
});

type Config = v.InferOutput<typeof schema>;

/** Where no layer types are said, of so many layers the last has no window. */
const PERIOD = 6;

/** Which layers see a window only; the last never does. */
function windowsOf({ layer_types: types, num_hidden_layers: layers }: Config): boolean[] {
  if (types != null && types.length !== layers) {
    throw badInput(t`config.json: layer_types has ${types.length} of ${layers} layers`);
  }
  return Array.from({ length: layers }, (_, i) => {
    const type = types?.[i] ?? ((i + 1) % PERIOD === 0 ? "full_attention" : "sliding_attention");
    expectField("layer_types", type, "sliding_attention", "full_attention");
    return type === "sliding_attention" && i < layers - 1;
  });
}

/** Width and number of the heads of keys and values in layers without a window. */
function fullHeads(config: Config, windows: readonly boolean[]): { width: number; headsKv: number } {
  const { num_key_value_heads: usual, per_layer_config: layers } = config;
  const kv = config.attention_k_eq_v ? (config.num_global_key_value_heads ?? usual) : usual;
  if (layers == null) return { width: config.global_head_dim ?? 512, headsKv: kv };
  const each = windows.map((_, i) => ({
    width: layers[i]?.head_dim ?? config.head_dim,
    headsKv: layers[i]?.num_key_value_heads ?? usual,
  }));
  const full = each.at(-1)!;
  const odd = each.findIndex(({ width, headsKv }, i) =>
    windows[i]
      ? width !== config.head_dim || headsKv !== usual
      : width !== full.width || headsKv !== full.headsKv,
  );
  if (odd < 0) return full;
  throw new LlqError("unsupported", t`config.json: per_layer_config gives layer ${odd} heads of its own`, {
    hint: t`supported: one kind of heads in layers with a window, and one in those without`,
  });
}

/** The last layers that see others' keys and values, and the width of each layer's MLP. */
function sharing(config: Config): HfModel["keys"] {
  const { num_hidden_layers: layers, num_kv_shared_layers: shared, intermediate_size: width } = config;
  const first = layers - (shared ?? 0);
  const widths = Array.from({ length: layers }, (_, i) => (i < first ? width : 2 * width));
  return [
    ...sharedKeys(layers, shared ?? 0),
    ...(config.use_double_wide_mlp ? [["feed_forward_length", meta.i32s(widths)] as const] : []),
  ];
}

/** Experts of each layer, beside its MLP. */
function mixtureOf(config: Config): HfModel["keys"] {
  if (!config.enable_moe_block) return [];
  const needed = (["num_experts", "top_k_experts", "moe_intermediate_size"] as const).map((field) => {
    const value = config[field];
    if (value != null) return value;
    throw badInput(t`config.json: enable_moe_block asks for experts, and ${field} is missing`);
  });
  const [experts, used, feedForwardLength] = needed as [number, number, number];
  return expertKeys({ count: experts, used, feedForwardLength });
}

function readGemma4(config: Config): HfModel {
  expectField("hidden_activation", config.hidden_activation ?? "gelu_pytorch_tanh", "gelu_pytorch_tanh");
  expectField("attention_bias", config.attention_bias ?? false, false);
  // "vision" is about images, which texts have none of.
  expectField("use_bidirectional_attention", config.use_bidirectional_attention, undefined, null, "vision");
  const { sliding_attention: local, full_attention: global } = config.rope_parameters;
  expectField("rope_parameters.sliding_attention.rope_type", local.rope_type ?? "default", "default");
  expectField("rope_parameters.full_attention.rope_type", global.rope_type, "proportional");
  expectField("rope_parameters.sliding_attention.partial_rotary_factor", local.partial_rotary_factor ?? 1, 1);
  const { hidden_size_per_layer_input: given, vocab_size_per_layer_input: rows } = config;
  const inputs = given ?? 0;
  if (inputs > 0) expectField("vocab_size_per_layer_input", rows, config.vocab_size);
  const windows = windowsOf(config);
  const { width, headsKv } = fullHeads(config, windows);
  const kv = windows.map((hasWindow) => (hasWindow ? config.num_key_value_heads : headsKv));
  const usual = decoderKeys({ ...config, head_dim: width, rope_parameters: undefined });
  return {
    vocabSize: config.vocab_size,
    ofPieces: "pieceBpe",
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...usual.filter(([key]) => key !== "attention.head_count_kv" || headsKv === config.num_key_value_heads),
      ...(headsKv === config.num_key_value_heads
        ? []
        : [["attention.head_count_kv", meta.i32s(kv)] as const]),
      ["attention.key_length_swa", meta.u32(config.head_dim)],
      ["attention.value_length_swa", meta.u32(config.head_dim)],
      ["attention.sliding_window", meta.u32(config.sliding_window)],
      ["attention.sliding_window_pattern", meta.bools(windows)],
      ...sharing(config),
      ["embedding_length_per_layer_input", meta.u32(inputs)],
      ...mixtureOf(config),
      ["rope.dimension_count", meta.u32(width)],
      ["rope.dimension_count_swa", meta.u32(config.head_dim)],
      ["rope.freq_base", meta.f32(global.rope_theta ?? 1e6)],
      ["rope.freq_base_swa", meta.f32(local.rope_theta ?? 10000)],
      // Without the key llama.cpp caps at 30.
      ["final_logit_softcapping", meta.f32(config.final_logit_softcapping ?? 0)],
    ],
    // Where values are not said to be keys, no layer lacks them.
    optional: config.attention_k_eq_v ? [] : ["attn_v"],
    remarks: sharingRemarks(windows, config.num_kv_shared_layers ?? 0),
  };
}

const [q, k, values] = separateQkv("model.layers.{i}.self_attn");

/** What files may have all the same in layers that see the keys of others; nothing reads it. */
const unused = [k!, values!, ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm")].map(
  (row): TensorRow => ({ ...row, optional: true, unread: true, when: (h, layer) => !hasKeys(h, layer) }),
);

const when = hasExperts;
const mixture: readonly TensorRow[] = [
  ...norm("ffn_post_norm_1", "embd", "model.layers.{i}.post_feedforward_layernorm_1", { when }),
  ...norm("ffn_pre_norm_2", "embd", "model.layers.{i}.pre_feedforward_layernorm_2", { when }),
  tensor("router", ["experts", "embd"], "model.layers.{i}.router.proj.weight", { when }),
  tensor("router_scale", ["embd"], "model.layers.{i}.router.scale", { when }, ".scale"),
  tensor("expert_scales", ["experts"], "model.layers.{i}.router.per_expert_scale", { when }, ".scale"),
  tensor("ffn_gate_up_exps", ["experts", "expertFfn*2", "embd"], expertSources("gate_up_proj"), { when }),
  tensor("ffn_down_exps", ["experts", "embd", "expertFfn"], expertSources("down_proj"), { when }),
  ...norm("ffn_post_norm_2", "embd", "model.layers.{i}.post_feedforward_layernorm_2", { when }),
];

/** As transformers writes a stack of experts, or with what some writers put behind every name. */
function expertSources(name: string): string[] {
  return ["", ".weight"].map((suffix) => `model.layers.{i}.experts.${name}${suffix}`);
}

/** Which experts a token goes through, by a norm of what the layer's halves meet in. */
function routerOfLayer({ embeddingLength }: HParams): RouterTraits {
  return { gating: "softmax", normalize: true, inputScale: 1 / Math.sqrt(embeddingLength) };
}

export const gemma4: Architecture = {
  name: "gemma4",
  covers: ["Gemma 4 31B, 26B-A4B, E2B, E4B"],
  year: 2026,
  classes: ["Gemma4ForCausalLM", "Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration"],
  read: reader(schema, readGemma4),
  tensors: [
    ropeFreqs,
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    q!,
    { ...k!, when: hasKeys },
    { ...values!, when: (h, layer) => hasKeys(h, layer) && h.layers[layer!]!.hasWindow === true },
    {
      ...values!,
      optional: true,
      when: (h, layer) => hasKeys(h, layer) && h.layers[layer!]!.hasWindow !== true,
    },
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm", { when: hasKeys }),
    ...unused,
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.pre_feedforward_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_feedforward_layernorm"),
    ...mixture,
    ...layerInputs,
    tensor("layer_output_scale", ["one"], "model.layers.{i}.layer_scalar"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (i) => ({
      mixer: attention({
        scale: 1,
        bareNorms: ["v"],
        ...(h.layers[i]!.hasWindow === true
          ? { rope: { pairs: "halves", base: h.windowRopeFreqBase ?? 10000 }, window: h.slidingWindow }
          : { rope: { pairs: "halves" } }),
      }),
      feedForward: { activation: "gelu_tanh", ...(hasExperts(h) && { router: routerOfLayer(h) }) },
      inputActivation: "gelu_tanh",
    })),
    embeddingScale: Math.fround(Math.sqrt(h.embeddingLength)),
    logitSoftcap: h.logitSoftcap,
  }),
};
