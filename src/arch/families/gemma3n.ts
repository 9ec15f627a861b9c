import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, positive, reader } from "../config.js";
import { normalQuantile } from "../numbers/normal.js";
import { ropeScaling } from "../rope-scaling.js";
import { gatedMlp, layerInputs, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, perLayer } from "../traits.js";
import { none } from "./experts.js";
import { hasKeys, sharedKeys, sharingRemarks } from "./sharing.js";

// Gemma 3n: tokens have four hidden states, of which one goes through a layer; beside attention a product of low rank; the
// gates of the first layers are cut. Norms multiply by w, not 1 + w.

const byKind = v.looseObject({ full_attention: ropeScaling, sliding_attention: ropeScaling });

// Config files leave out what transformers' Gemma3nTextConfig takes for granted.
const schema = v.looseObject({
  ...decoderFields,
  hidden_size: v.optional(count, 2048),
  num_hidden_layers: v.optional(count, 35),
  num_attention_heads: v.optional(count, 8),
  num_key_value_heads: v.optional(count, 2),
  head_dim: v.optional(count, 256),
  intermediate_size: v.optional(v.union([count, v.array(count)]), 16384),
  vocab_size: v.optional(count, 262400),
  max_position_embeddings: v.optional(count, 32768),
  rms_norm_eps: v.optional(positive, 1e-6),
  rope_parameters: v.nullish(byKind),
  rope_local_base_freq: v.nullish(positive),
  hidden_activation: v.nullish(v.string()),
  sliding_window: v.optional(count, 512),
  layer_types: v.nullish(v.array(v.string())),
  final_logit_softcapping: v.nullish(positive, 30),
  attention_bias: flag,
  use_bidirectional_attention: v.nullish(v.boolean()),
  vocab_size_per_layer_input: v.optional(count, 262144),
  hidden_size_per_layer_input: v.optional(count, 256),
  altup_active_idx: v.optional(none, 0),
  altup_correct_scale: v.optional(v.boolean(), true),
  altup_num_inputs: v.optional(count, 4),
  num_kv_shared_layers: v.optional(none, 15),
  laurel_rank: v.optional(count, 64),
  activation_sparsity_pattern: v.nullish(
    v.union([v.array(v.pipe(v.number(), v.minValue(0), v.ltValue(1))), v.literal(0)]),
  ),
});

type Config = v.InferOutput<typeof schema>;

/** Where no layer types are said, of so many layers the last has no window. */
const PERIOD = 5;
/** Where no sparsities are said, so many layers are sparse, to this share. */
const [SPARSE_LAYERS, SPARSITY] = [10, 0.95];

/** A list with a value for each layer. */
function checked<T>(name: string, values: readonly T[], layers: number): readonly T[] {
  if (values.length === layers) return values;
  throw badInput(t`config.json: ${name} has ${values.length} of ${layers} layers`);
}

function windowsOf({ layer_types: types, num_hidden_layers: layers }: Config): boolean[] {
  if (types != null) checked("layer_types", types, layers);
  return Array.from({ length: layers }, (_, i) => {
    const type = types?.[i] ?? ((i + 1) % PERIOD === 0 ? "full_attention" : "sliding_attention");
    expectField("layer_types", type, "sliding_attention", "full_attention");
    return type === "sliding_attention";
  });
}

function sparsitiesOf({ activation_sparsity_pattern: said, num_hidden_layers: layers }: Config) {
  const sparse = layers > SPARSE_LAYERS ? SPARSE_LAYERS : 0;
  const usual = Array.from({ length: layers }, (_, i) => (i < sparse ? SPARSITY : 0));
  if (said === 0) return usual.map(() => 0);
  return checked("activation_sparsity_pattern", said ?? usual, layers);
}

/** What llama.cpp has fixed, whatever a file says. */
function fixedRemarks(config: Config, sparsities: readonly number[]): string[] {
  const { num_hidden_layers: layers, num_kv_shared_layers: shared } = config;
  const said: string[] = [];
  if (config.hidden_size_per_layer_input !== 256 || config.laurel_rank !== 64) {
    said.push(t`llama.cpp loads only models of 256 inputs a layer and a LAuReL rank of 64`);
  }
  if (layers - shared !== 20 && !(shared === 0 && layers <= 20)) {
    said.push(t`llama.cpp takes all layers behind the first 20 for those that share keys`);
  }
  if (sparsities.some((share) => share > 0)) {
    said.push(
      t`the deviation by which gates are cut is of n numbers; llama.cpp divides by n - 1, of which ln(perplexity) was 0.004 to 0.007 off on tiny models of 32 to 64 gates, and less in wider ones`,
    );
  }
  if (sparsities.some((share, i) => share !== (i < SPARSE_LAYERS ? SPARSITY : 0))) {
    said.push(t`llama.cpp cuts the gates of the first 10 layers, all to a share of 0.95`);
  }
  return said;
}

function readGemma3n(config: Config): HfModel {
  expectField("hidden_activation", config.hidden_activation ?? "gelu_pytorch_tanh", "gelu_pytorch_tanh");
  expectField("attention_bias", config.attention_bias ?? false, false);
  expectField("use_bidirectional_attention", config.use_bidirectional_attention ?? false, false);
  expectField("altup_num_inputs", config.altup_num_inputs, 4);
  expectField("altup_correct_scale", config.altup_correct_scale, true);
  const { num_hidden_layers: layers, intermediate_size: widths, altup_active_idx: active } = config;
  if (active >= config.altup_num_inputs) throw badInput(t`config.json: altup_active_idx ${active} of 4`);
  if (config.vocab_size_per_layer_input > config.vocab_size) {
    throw badInput(t`config.json: vocab_size_per_layer_input is more than vocab_size`);
  }
  const { full_attention: global, sliding_attention: local } = config.rope_parameters ?? {};
  for (const kind of [global, local]) {
    if (kind != null) expectField("rope_parameters.rope_type", kind.rope_type ?? "default", "default");
  }
  const windows = windowsOf(config);
  const sparsities = sparsitiesOf(config);
  const each = typeof widths === "number" ? undefined : checked("intermediate_size", widths, layers);
  const plain = { ...config, intermediate_size: each === undefined ? Number(widths) : each[0]! };
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...decoderKeys({ ...plain, rope_parameters: undefined }),
      ...(each === undefined ? [] : [["feed_forward_length", meta.i32s(each)] as const]),
      ["attention.sliding_window", meta.u32(config.sliding_window)],
      ["attention.sliding_window_pattern", meta.bools(windows)],
      ...sharedKeys(layers, config.num_kv_shared_layers),
      ["altup.active_idx", meta.u32(active)],
      ["altup.num_inputs", meta.u32(config.altup_num_inputs)],
      ["embedding_length_per_layer_input", meta.u32(config.hidden_size_per_layer_input)],
      // A key of llq's own, where the rank is not the one that llama.cpp has fixed.
      ...(config.laurel_rank === 64 ? [] : [["laurel_rank", meta.u32(config.laurel_rank)] as const]),
      ["activation_sparsity_scale", meta.f32s(sparsities.map(normalQuantile))],
      ["rope.dimension_count", meta.u32(config.head_dim)],
      ["rope.freq_base", meta.f32(global?.rope_theta ?? config.rope_theta ?? 1e6)],
      ["rope.freq_base_swa", meta.f32(local?.rope_theta ?? config.rope_local_base_freq ?? 10000)],
      ["final_logit_softcapping", meta.f32(config.final_logit_softcapping ?? 0)],
    ],
    remarks: [...sharingRemarks(windows, config.num_kv_shared_layers), ...fixedRemarks(config, sparsities)],
  };
}

const ALTUP = "model.layers.{i}.altup";
const [q, k, values] = separateQkv("model.layers.{i}.self_attn");
const keyNorm = norm("attn_k_norm", "head", "model.layers.{i}.self_attn.k_norm");

/** Matrices that stand in the checkpoint one by one. */
function stacked(role: "altup_proj" | "altup_unembd_proj", source: string): TensorRow {
  return {
    ...tensor(role, ["otherStreams", "embd", "embd"], `model.${source}.{e}.weight`),
    name: `${role}.weight`,
  };
}

export const gemma3n: Architecture = {
  name: "gemma3n",
  covers: ["Gemma 3n"],
  year: 2025,
  classes: ["Gemma3nForCausalLM", "Gemma3nForConditionalGeneration"],
  read: reader(schema, readGemma3n),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight", { padded: true }),
    stacked("altup_proj", "altup_projections"),
    stacked("altup_unembd_proj", "altup_unembed_projections"),
    ...layerInputs.map(
      (row): TensorRow => (row.role === "per_layer_token_embd" ? { ...row, padded: true } : row),
    ),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    q!,
    ...[k!, values!, ...keyNorm].flatMap((row): TensorRow[] => [
      { ...row, when: hasKeys },
      // Files may have them all the same in layers that see the keys of others; nothing reads them.
      { ...row, optional: true, unread: true, when: (h, layer) => !hasKeys(h, layer) },
    ]),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.q_norm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj"),
    ...norm("attn_post_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    ...norm("ffn_norm", "embd", "model.layers.{i}.pre_feedforward_layernorm"),
    ...gatedMlp("model.layers.{i}.mlp"),
    ...norm("ffn_post_norm", "embd", "model.layers.{i}.post_feedforward_layernorm"),
    tensor("altup_correct_scale", ["embd"], `${ALTUP}.correct_output_scale`),
    tensor("altup_correct_coef", ["streams", "streams"], `${ALTUP}.correction_coefs.weight`),
    tensor("altup_predict_coef", ["streams^2", "streams"], `${ALTUP}.prediction_coefs.weight`),
    tensor("altup_router", ["streams", "embd"], `${ALTUP}.modality_router.weight`),
    ...norm("altup_router_norm", "embd", `${ALTUP}.router_norm`),
    ...linear("laurel_l", ["laurel", "embd"], "model.layers.{i}.laurel.linear_left"),
    ...linear("laurel_r", ["embd", "laurel"], "model.layers.{i}.laurel.linear_right"),
    ...norm("laurel_post_norm", "embd", "model.layers.{i}.laurel.post_laurel_norm"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (i) => {
      const share = h.streams.sparsities?.[i];
      return {
        mixer: attention({
          scale: 1,
          bareNorms: ["v"],
          ...(h.layers[i]!.hasWindow === true
            ? { rope: { pairs: "halves", base: h.windowRopeFreqBase ?? 10000 }, window: h.slidingWindow }
            : { rope: { pairs: "halves" } }),
        }),
        feedForward: {
          activation: "gelu_tanh",
          ...(share !== undefined && share > Number.NEGATIVE_INFINITY && { sparsity: share }),
        },
        inputActivation: "gelu_tanh",
        activeStream: h.streams.active,
      };
    }),
    embeddingScale: Math.fround(Math.sqrt(h.embeddingLength)),
    logitSoftcap: h.logitSoftcap,
  }),
};
