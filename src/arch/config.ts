import * as v from "valibot";
import { badInput, LlqError } from "../../formats/errors.js";
import { faultsOf } from "../../formats/faults.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";
import type { HfModel } from "./architecture.js";
import { MAX_LAYERS } from "./hparams.js";
import { ropeDivisors } from "./numbers/rope-divisors.js";
import {
  outsideWindows,
  type RopeConfig,
  ropeRemarks,
  ropeScaling,
  rotaryShare,
  scalingType,
} from "./rope-scaling.js";

// What the readers of the families' config.json share. A family has a schema of its own, made of these pieces.

export const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1));
/** Of layers: some families make lists of so many entries before any tensor is asked for. */
export const layerCount = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_LAYERS));
export const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
export const flag = v.nullish(v.boolean());

/** The fields of decoders of the Llama kind. */
export const decoderFields = {
  hidden_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count),
  head_dim: v.nullish(count),
  intermediate_size: count,
  vocab_size: count,
  max_position_embeddings: count,
  rms_norm_eps: positive,
  rope_theta: v.nullish(positive),
  rope_scaling: v.nullish(ropeScaling),
  rope_parameters: v.nullish(ropeScaling),
  tie_word_embeddings: flag,
  hidden_act: v.nullish(v.string()),
};

const { rms_norm_eps: _, ...withoutNorms } = decoderFields;

/** The same of decoders with layer norms. */
export const layerNormFields = { ...withoutNorms, layer_norm_eps: v.optional(positive, 1e-5) };

const decoder = v.looseObject(decoderFields);
export type DecoderConfig = v.InferOutput<typeof decoder>;

/** Checks a config.json against a family's schema, and hands it to what makes metadata of it. */
export function reader<S extends v.GenericSchema>(
  schema: S,
  read: (config: v.InferOutput<S>) => HfModel,
): (file: string, json: unknown) => HfModel {
  return (file, json) => {
    const result = v.safeParse(schema, json);
    if (result.success) return withRope(result.output as Partial<RopeConfig>, read(result.output));
    throw badInput(`${file}: ${faultsOf(result.issues)}`);
  };
}

/** The model with what RoPE needs beside its keys, where it has RoPE, whatever the family. */
function withRope(config: Partial<RopeConfig> & { head_dim?: unknown }, model: HfModel): HfModel {
  const keys = new Map(model.keys);
  const number = (key: string, usual?: number) => Number(keys.get(key)?.value ?? usual);
  const dimensions = number("rope.dimension_count");
  if (Number.isNaN(dimensions) || config.max_position_embeddings === undefined) return model;
  const rope = outsideWindows(config as RopeConfig);
  const width = keys.has("attention.key_length")
    ? number("attention.key_length")
    : number("embedding_length") / number("attention.head_count");
  // A family that turns whole heads would not look at the field, but for the kind that is about it.
  if (dimensions === width && scalingType(rope) !== "proportional")
    expectField("partial_rotary_factor", rotaryShare(rope, 1), 1);
  const divisors = ropeDivisors(rope, { dimensions, base: number("rope.freq_base", 10000) });
  return {
    ...model,
    computed: new Map([...divisors, ...(model.computed ?? [])]),
    remarks: [...(model.remarks ?? []), ...ropeRemarks(rope)],
  };
}

/** @throws LlqError `unsupported` unless the field has one of the values */
export function expectField(name: string, value: unknown, ...supported: readonly unknown[]): void {
  if (supported.includes(value)) return;
  const known = supported.filter((each) => each !== undefined && each !== null);
  throw new LlqError("unsupported", t`config.json: ${name} ${value} is not supported`, {
    hint: t`supported: ${known.join(", ")}`,
  });
}

/** transformers' list of what each layer's attention sees. */
export const layerTypes = v.nullish(v.array(v.string()));

/** Key/value heads; absent means as many as query heads. */
export function headsKv(config: Pick<DecoderConfig, "num_key_value_heads" | "num_attention_heads">): number {
  return config.num_key_value_heads ?? config.num_attention_heads;
}

/** Far beyond any model; RoPE's divisors are a number for each two dimensions of a head. */
const MAX_HEAD_DIM = 2 ** 16;

/** Width of a head. @throws LlqError `bad-input` when heads do not divide the width, or it is too large */
export function headDim(
  config: Pick<DecoderConfig, "hidden_size" | "num_attention_heads"> & {
    head_dim?: number | null | undefined;
  },
): number {
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const width = config.head_dim ?? hidden / heads;
  if (width > MAX_HEAD_DIM) throw badInput(t`config.json: heads of ${width} dimensions`);
  if (Number.isInteger(width)) return width;
  throw badInput(t`config.json: hidden_size ${hidden} does not divide into ${heads} heads`);
}

/** The metadata keys of decoders of the Llama kind, RoPE's excepted. */
export function decoderKeys(config: DecoderConfig): HfModel["keys"] {
  return [
    ["vocab_size", meta.u32(config.vocab_size)],
    ["context_length", meta.u32(config.max_position_embeddings)],
    ["embedding_length", meta.u32(config.hidden_size)],
    ["block_count", meta.u32(config.num_hidden_layers)],
    ["feed_forward_length", meta.u32(config.intermediate_size)],
    ["attention.head_count", meta.u32(config.num_attention_heads)],
    ["attention.head_count_kv", meta.u32(headsKv(config))],
    ["attention.key_length", meta.u32(headDim(config))],
    ["attention.value_length", meta.u32(headDim(config))],
    ["attention.layer_norm_rms_epsilon", meta.f32(config.rms_norm_eps)],
  ];
}

/** The same of decoders with layer norms. */
export function layerNormKeys({
  layer_norm_eps: epsilon,
  ...config
}: Omit<DecoderConfig, "rms_norm_eps"> & { readonly layer_norm_eps: number }): HfModel["keys"] {
  const keys = decoderKeys({ ...config, rms_norm_eps: epsilon } as DecoderConfig);
  return keys.map(([key, field]) => [key.replace("layer_norm_rms_", "layer_norm_"), field]);
}
