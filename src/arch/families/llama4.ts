import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { across, halfAcross } from "../checkpoint/woven-experts.js";
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
import { type HParams, hasExperts, isDense } from "../hparams.js";
import { ropeKeys } from "../rope-scaling.js";
import { gatedMlp, linear, norm, ropeFreqs, separateQkv, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { allButEvery, patternKeys, windowLayers } from "../windows.js";
import { expertKeys, routerOf } from "./experts.js";
import { ropeLayers } from "./smollm3.js";

const schema = v.looseObject({
  ...decoderFields,
  head_dim: v.nullish(count, 128),
  rope_theta: v.nullish(positive, 500000),
  intermediate_size_mlp: v.optional(count, 16384),
  num_local_experts: v.optional(count, 16),
  num_experts_per_tok: v.optional(count, 1),
  moe_layers: v.nullish(v.array(v.pipe(v.number(), v.integer(), v.minValue(0)))),
  interleave_moe_layer_step: v.optional(count, 1),
  attention_bias: flag,
  use_qk_norm: v.nullish(v.boolean(), true),
  no_rope_layers: v.nullish(v.array(v.picklist([0, 1]))),
  no_rope_layer_interval: v.nullish(count, 4),
  attention_chunk_size: v.nullish(count),
  layer_types: layerTypes,
  attn_temperature_tuning: v.nullish(v.union([v.boolean(), v.number()]), true),
  floor_scale: v.nullish(count, 8192),
  attn_scale: v.nullish(positive, 0.1),
});
type Config = v.InferOutput<typeof schema>;

/** Whether a layer has RoPE, and sees its chunk only, where a file does not say. */
const usual = allButEvery(4);
/** What llama.cpp takes of any Llama 4. */
const CHUNK = 8192;
const TEMPERATURE = { scale: 0.1, length: 8192 };
/** No position comes to as much. */
const NEVER = 2 ** 31 - 1;
/** llama.cpp knows the model whose queries and keys are not normed by its experts. */
const normsQk = (experts: number) => experts !== 128;

function readLlama4(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  expectField("attention_bias", config.attention_bias ?? false, false);
  const width = headDim(config);
  const hasRope = ropeLayers(config);
  // Absent is not null, which is none.
  const chunk = config.attention_chunk_size === undefined ? CHUNK : config.attention_chunk_size;
  const hasWindow = windowLayers(config, (layer) => hasRope[layer]! && chunk !== null);
  const { attn_scale: scale, use_qk_norm: norms, num_local_experts: experts } = config;
  const length = config.attn_temperature_tuning ? config.floor_scale : NEVER;
  // Keys of our own, but for the first.
  const own: HfModel["keys"] = [
    ...patternKeys("attention.rope_pattern", hasRope, usual),
    ...(chunk === null || chunk === CHUNK ? [] : [["attention.sliding_window", meta.u32(chunk)] as const]),
    ...(scale === TEMPERATURE.scale ? [] : [["attention.temperature_scale", meta.f32(scale)] as const]),
    ...(length === TEMPERATURE.length ? [] : [["attention.temperature_length", meta.u32(length)] as const]),
    ...(norms === normsQk(experts) ? [] : [["attention.qk_norm", meta.bool(norms)] as const]),
    ...expertLayerKeys(config),
  ];
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys({ ...config, intermediate_size: config.intermediate_size_mlp }),
      ...ropeKeys(config, width),
      ...expertKeys({
        count: experts,
        used: config.num_experts_per_tok,
        feedForwardLength: config.intermediate_size,
        layerStep: config.interleave_moe_layer_step,
      }),
      ...patternKeys("attention.sliding_window_pattern", hasWindow, usual),
      ...own,
    ],
    remarks:
      own.length === 0
        ? []
        : [
            t`llama.cpp has these of any Llama 4 as they are in Scout and Maverick, and so computes something else: ${own.map(([key]) => key).join(", ")}`,
          ],
  };
}

/** Which layers have experts, where it is not the last of every so many. */
function expertLayerKeys({ moe_layers, num_hidden_layers: layers, interleave_moe_layer_step }: Config) {
  if (moe_layers == null) return [];
  const has = Array.from({ length: layers }, (_, layer) => moe_layers.includes(layer));
  const isUsual = has.every((each, layer) => each === ((layer + 1) % interleave_moe_layer_step === 0));
  return isUsual ? [] : [["expert_layers", meta.bools(has)] as const];
}

const MOE = "model.layers.{i}.feed_forward";
const withExperts: Partial<TensorRow> = { when: hasExperts };

/** Most layers see a chunk of the text; the others have no RoPE, and queries that grow with their position. */
export const llama4: Architecture = {
  name: "llama4",
  covers: ["Llama 4 Scout and Maverick"],
  year: 2025,
  classes: ["Llama4ForCausalLM", "Llama4ForConditionalGeneration"],
  read: reader(schema, readLlama4),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ropeFreqs,
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    tensor("router", ["experts", "embd"], `${MOE}.router.weight`, withExperts),
    tensor("ffn_gate_exps", ["experts", "expertFfn", "embd"], `${MOE}.experts.gate_up_proj`, {
      ...withExperts,
      view: halfAcross(0),
    }),
    tensor("ffn_up_exps", ["experts", "expertFfn", "embd"], `${MOE}.experts.gate_up_proj`, {
      ...withExperts,
      view: halfAcross(1),
    }),
    tensor("ffn_down_exps", ["experts", "embd", "expertFfn"], `${MOE}.experts.down_proj`, {
      ...withExperts,
      view: across,
    }),
    ...linear("ffn_gate_shexp", ["expertFfn", "embd"], `${MOE}.shared_expert.gate_proj`, withExperts),
    ...linear("ffn_up_shexp", ["expertFfn", "embd"], `${MOE}.shared_expert.up_proj`, withExperts),
    ...linear("ffn_down_shexp", ["embd", "expertFfn"], `${MOE}.shared_expert.down_proj`, withExperts),
    ...gatedMlp(MOE, { when: isDense }),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(h, (layer) => mixerOf(h, layer), {
      activation: "silu",
      router: routerOf(h, { gating: "sigmoid", weighsInput: true }),
    }),
};

function mixerOf(h: HParams, layer: number) {
  const { hasRope = usual(layer), hasWindow = usual(layer) } = h.layers[layer]!;
  const window = hasWindow ? { window: h.slidingWindow ?? CHUNK, chunked: true } : {};
  if (!hasRope) {
    const { temperatureScale: scale = TEMPERATURE.scale, temperatureLength: length = TEMPERATURE.length } = h;
    return attention({ ...window, temperature: { scale, length, offset: 1 } });
  }
  const norms = h.bareQkNorm ?? normsQk(h.expertCount);
  const rope = { pairs: "neighbours" } as const;
  return attention({ ...window, rope, ...(norms && { bareNorms: ["q", "k"], normsAfterRope: true }) });
}
