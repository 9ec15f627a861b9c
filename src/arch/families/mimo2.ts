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
  layerTypes,
  positive,
  reader,
} from "../config.js";
import { numbersOf } from "../hparams.js";
import { outsideWindows, ropeByLayer, ropeKeys } from "../rope-scaling.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, perLayer } from "../traits.js";
import { windowLayers } from "../windows.js";
import {
  behindFirst,
  behindFirstKeys,
  expertFields,
  expertKeys,
  mixtureRows,
  mlpLayerTypes,
  readExpertFields,
  routerOf,
} from "./experts.js";

// biome-ignore lint/suspicious/noApproximativeNumericConstant: transformers has it so where a config does not say
const VALUE_SCALE = 0.707;

const bits = v.nullish(v.array(v.picklist([0, 1])));
const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  rms_norm_eps: v.nullish(positive),
  layernorm_epsilon: v.nullish(positive),
  rope_parameters: ropeByLayer,
  partial_rotary_factor: v.nullish(positive),
  swa_rope_theta: v.nullish(positive),
  head_dim: v.optional(count, 192),
  v_head_dim: v.optional(count, 128),
  num_key_value_heads: v.optional(count, 4),
  swa_num_key_value_heads: v.nullish(count),
  swa_num_attention_heads: v.nullish(count),
  swa_head_dim: v.nullish(count),
  swa_v_head_dim: v.nullish(count),
  sliding_window: v.optional(count, 129),
  sliding_window_size: v.nullish(count),
  attention_bias: flag,
  attention_value_scale: v.nullish(positive),
  add_swa_attention_sink_bias: flag,
  add_full_attention_sink_bias: flag,
  /** 1 for layers with a window; layer_types say the same. */
  hybrid_layer_pattern: bits,
  layer_types: layerTypes,
  /** 1 for layers with experts; mlp_layer_types say the same. */
  moe_layer_freq: v.nullish(v.union([v.array(v.picklist([0, 1])), v.number()])),
  mlp_layer_types: mlpLayerTypes,
});
type Config = v.InferOutput<typeof schema>;

function expertLayers({ num_hidden_layers: layers, mlp_layer_types, moe_layer_freq }: Config): boolean[] {
  const list = mlp_layer_types?.map((type) => type === "sparse");
  const bitsOf = Array.isArray(moe_layer_freq) ? moe_layer_freq.map((bit) => bit === 1) : undefined;
  return Array.from({ length: layers }, (_, i) => (list ?? bitsOf)?.[i] ?? i > 0);
}

function readMimo2({ rope_parameters: ropes, ...config }: Config): HfModel {
  const { head_dim: width, num_attention_heads: heads, num_key_value_heads: kv } = config;
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("add_swa_attention_sink_bias", config.add_swa_attention_sink_bias ?? true, true);
  expectField("add_full_attention_sink_bias", config.add_full_attention_sink_bias ?? false, false);
  expectField("swa_num_attention_heads", config.swa_num_attention_heads ?? heads, heads);
  expectField("swa_head_dim", config.swa_head_dim ?? width, width);
  expectField("swa_v_head_dim", config.swa_v_head_dim ?? config.v_head_dim, config.v_head_dim);
  // llama.cpp has no other.
  expectField("norm_topk_prob", config.norm_topk_prob ?? true, true);
  expectField("routed_scaling_factor", config.routed_scaling_factor ?? 1, 1);
  const share = ropes?.full?.partial_rotary_factor ?? config.partial_rotary_factor ?? 0.334;
  const inWindow = ropes?.window?.partial_rotary_factor ?? share;
  expectField(t`partial_rotary_factor of layers with a window`, inWindow, share);
  const pattern = config.hybrid_layer_pattern;
  const hasWindow = windowLayers(config, (i) => (pattern ? pattern[i] === 1 : i !== 0 && (i + 1) % 6 !== 0));
  const kvInWindow = config.swa_num_key_value_heads ?? 2 * kv;
  const sparse = expertLayers(config);
  const { sliding_window_size: before, attention_value_scale: valueScale = VALUE_SCALE } = config;
  const base = ropes?.full?.rope_theta ?? config.rope_theta ?? 5000000;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys({ ...config, rms_norm_eps: config.rms_norm_eps ?? config.layernorm_epsilon ?? 1e-5 }),
      ["attention.value_length", meta.u32(config.v_head_dim)],
      ["attention.head_count_kv", meta.i32s(hasWindow.map((has) => (has ? kvInWindow : kv)))],
      ...ropeKeys(
        outsideWindows({ ...config, rope_theta: base, rope_parameters: ropes?.full }),
        Math.floor(width * share),
      ),
      ["rope.freq_base_swa", meta.f32(ropes?.window?.rope_theta ?? config.swa_rope_theta ?? 10000)],
      ...expertKeys({
        ...readExpertFields(
          { ...config, routed_scaling_factor: null },
          { gating: "sigmoid", normalize: true },
        ),
        normalize: undefined, // it always does
      }),
      ...behindFirstKeys(sparse),
      // The tokens before the query, where it is called a size.
      ["attention.sliding_window", meta.u32(before == null ? config.sliding_window : before + 1)],
      ["attention.sliding_window_pattern", meta.i32s(hasWindow.map(Number))],
      ...(valueScale == null ? [] : [["attention.value_scale", meta.f32(valueScale)] as const]),
    ],
  };
}

/** Windows with sinks, and twice the heads of keys and values; values are narrower than keys, and scaled. */
export const mimo2: Architecture = {
  name: "mimo2",
  covers: ["MiMo-V2-Flash"],
  year: 2025,
  classes: ["MiMoV2FlashForCausalLM"],
  read: reader(schema, readMimo2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    tensor(
      "attn_sinks",
      ["heads"],
      ["attention_sink_bias", "sinks"].map((s) => `model.layers.{i}.self_attn.${s}`),
      {
        when: (h, layer) => numbersOf(h, layer).hasWindow === true,
      },
    ),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...mixtureRows({
      selection: "model.layers.{i}.mlp.gate.e_score_correction_bias",
      sparse: behindFirst,
    }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (layer) => {
      const { valueScale } = h;
      const mixer =
        h.layers[layer]!.hasWindow === true
          ? { rope: { pairs: "halves", base: h.windowRopeFreqBase } as const, window: h.slidingWindow }
          : { rope: { pairs: "halves" } as const };
      const router = routerOf(h, { gating: "sigmoid", normalize: true });
      return { mixer: attention({ ...mixer, valueScale }), feedForward: { activation: "silu", router } };
    }),
  }),
};
