import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { HfModel, Part, TensorRow } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, layerTypes, positive } from "../config.js";
import type { HParams } from "../hparams.js";
import { ropeKeys, rotaryShare } from "../rope-scaling.js";
import { ATTENTION_BIASES, linear, norm as plainNorm, tensor } from "../rows.js";
import { attention, type DeltaNetTraits, type LayerTraits } from "../traits.js";
import { routerOf } from "./experts.js";

// What Qwen3-Next and Qwen3.5 share: layers with a gated delta net, and every few layers attention whose output has a gate.
// Norms multiply by 1 + w, but for that of the delta net.

export const deltaFields = {
  ...decoderFields,
  head_dim: v.nullish(count, 256),
  rms_norm_eps: v.nullish(positive, 1e-6),
  attention_bias: flag,
  partial_rotary_factor: v.nullish(positive),
  layer_types: layerTypes,
  full_attention_interval: v.nullish(count),
  linear_conv_kernel_dim: v.nullish(count, 4),
  linear_key_head_dim: v.nullish(count, 128),
  linear_value_head_dim: v.nullish(count, 128),
  linear_num_key_heads: v.nullish(count, 16),
  linear_num_value_heads: v.nullish(count, 32),
};

const schema = v.looseObject(deltaFields);

/** Where no list of layers says otherwise, of so many the last has attention. */
const INTERVAL = 4;
const SHARE = 0.25;

/** @throws LlqError `bad-input` for layers and heads that do not fit each other */
export function readDelta(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const { num_hidden_layers: layers, layer_types: types } = config;
  const [keyHeads, valueHeads] = [config.linear_num_key_heads, config.linear_num_value_heads];
  if (valueHeads % keyHeads !== 0) {
    throw badInput(t`config.json: ${valueHeads} value heads do not divide into ${keyHeads} key heads`);
  }
  if (types != null && types.length !== layers) {
    throw badInput(t`config.json: layer_types has ${types.length} entries for ${layers} layers`);
  }
  for (const type of types ?? []) expectField("layer_types", type, "linear_attention", "full_attention");
  const interval = config.full_attention_interval ?? INTERVAL;
  const recurrent = Array.from({ length: layers }, (_, i) =>
    types == null ? (i + 1) % interval !== 0 : types[i] === "linear_attention",
  );
  const rotary = Math.floor(config.head_dim * rotaryShare(config, SHARE));
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    optional: config.attention_bias === true ? ATTENTION_BIASES : [],
    remarks: unloadable(config),
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(config, rotary),
      ["ssm.conv_kernel", meta.u32(config.linear_conv_kernel_dim)],
      ["ssm.state_size", meta.u32(config.linear_key_head_dim)],
      ["ssm.group_count", meta.u32(keyHeads)],
      ["ssm.time_step_rank", meta.u32(valueHeads)],
      ["ssm.inner_size", meta.u32(config.linear_value_head_dim * valueHeads)],
      ["attention.recurrent_layers", meta.bools(recurrent)],
      ["full_attention_interval", meta.u32(interval)],
    ],
  };
}

/** What loaders of llama.cpp have no place for. */
function unloadable(config: v.InferOutput<typeof schema>): string[] {
  const { attention_bias, linear_key_head_dim: keys, linear_value_head_dim: values } = config;
  return [
    ...(attention_bias === true
      ? [t`llama.cpp loads no such model whose attention has a bias of its output`]
      : []),
    ...(keys === values
      ? []
      : [t`llama.cpp loads no delta net whose values are ${values} wide and whose keys are ${keys}`]),
  ];
}

export function isRecurrent({ ssm }: HParams, layer: number | undefined): boolean {
  return ssm.layers?.[layer!] ?? (layer! + 1) % INTERVAL !== 0;
}

export function hasAttention(hparams: HParams, layer: number | undefined): boolean {
  return !isRecurrent(hparams, layer);
}

/** A norm that multiplies by 1 + w, which is what mlx-lm saves. */
export function norm(...[role, length, source, options]: Parameters<typeof plainNorm>): TensorRow[] {
  return plainNorm(role, length, source, {
    ...options,
    steps: [{ kind: "add", value: 1 }],
    doneByMlx: true,
  });
}

/** The norm before the feed-forward, by its name in these architectures. */
export const ffnNorm: readonly TensorRow[] = norm(
  "ffn_norm",
  "embd",
  "model.layers.{i}.post_attention_layernorm",
).map((row) => ({ ...row, name: "blk.{i}.post_attention_norm.weight" }));

const self = "model.layers.{i}.self_attn";
const own = { when: hasAttention } as const;

export const gatedAttention: readonly TensorRow[] = [
  ...linear("attn_q", ["q*2", "embd"], `${self}.q_proj`, { ...own, bias: "optional" }),
  ...linear("attn_k", ["kv", "embd"], `${self}.k_proj`, { ...own, bias: "optional" }),
  ...linear("attn_v", ["v", "embd"], `${self}.v_proj`, { ...own, bias: "optional" }),
  ...norm("attn_q_norm", "head", `${self}.q_norm`, own),
  ...norm("attn_k_norm", "head", `${self}.k_norm`, own),
  ...linear("attn_output", ["embd", "attn"], `${self}.o_proj`, { ...own, bias: "optional" }),
];

/** The delta net's tensors but for those that go into it, which generations cut in different ways. */
export function deltaNet(values: ValueOrder): TensorRow[] {
  const when = isRecurrent;
  const source = "model.layers.{i}.linear_attn";
  const heads = { when, part: values.heads } as const;
  return [
    tensor("ssm_a", ["timeStep"], `${source}.A_log`, { ...heads, steps: [{ kind: "negExp" }] }, ""),
    tensor("ssm_conv", ["deltaQkv", "conv"], `${source}.conv1d.weight`, {
      when,
      part: values.channels,
      storedShape: ["deltaQkv", "one", "conv"],
    }),
    tensor("ssm_dt_bias", ["timeStep"], `${source}.dt_bias`, heads, ""),
    ...plainNorm("ssm_norm", "deltaHead", `${source}.norm`, { when }),
    ...linear("ssm_out", ["embd", "inner"], `${source}.out_proj`, { when, steps: values.columns }),
  ].map((row) => (row.role === "ssm_dt_bias" ? { ...row, name: "blk.{i}.ssm_dt.bias" } : row));
}

/** In which order GGUF has what belongs to value heads. */
export interface ValueOrder {
  readonly heads: (hparams: HParams) => Part;
  /** Of queries, keys and values below each other. */
  readonly channels: (hparams: HParams) => Part;
  readonly columns: Exclude<TensorRow["steps"], undefined>;
}

export function deltaLayers(hparams: HParams, keyOf: DeltaNetTraits["keyOf"]): LayerTraits[] {
  const gated = attention({ rope: { pairs: "halves" }, queryGate: true });
  const delta: DeltaNetTraits = { kind: "delta-net", keyOf };
  const router = routerOf(hparams, { gating: "softmax", normalize: true });
  const feedForward = { activation: "silu", router } as const;
  return hparams.layers.map((_, layer) => ({
    mixer: isRecurrent(hparams, layer) ? delta : gated,
    feedForward,
  }));
}
