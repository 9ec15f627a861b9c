import * as v from "valibot";
import type { MetaField } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";
import { yarnMagnitude } from "./numbers/rope.js";

const whole = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const flag = v.nullish(v.boolean());
const factors = v.nullish(v.array(positive));

/** config.json's `rope_scaling`; transformers 5 calls it `rope_parameters` and has the base in it. */
export const ropeScaling = v.looseObject({
  rope_type: v.nullish(v.string()),
  type: v.nullish(v.string()),
  rope_theta: v.nullish(positive),
  factor: v.nullish(positive),
  original_max_position_embeddings: v.nullish(whole),
  low_freq_factor: v.nullish(positive),
  high_freq_factor: v.nullish(positive),
  attention_factor: v.nullish(positive),
  beta_fast: v.nullish(positive),
  beta_slow: v.nullish(positive),
  alpha: v.nullish(v.number()),
  mscale: v.nullish(v.number()),
  mscale_all_dim: v.nullish(v.number()),
  truncate: flag,
  partial_rotary_factor: v.nullish(positive),
  long_factor: factors,
  short_factor: factors,
});
type Scaling = v.InferOutput<typeof ropeScaling>;

/**
 * `rope_parameters` of models whose layers with a window have others; or, as older ones have it, one for all.
 * Of the kinds of scaling, those layers have none.
 */
export const ropeByLayer = v.nullish(
  v.pipe(
    v.looseObject({
      ...ropeScaling.entries,
      full_attention: v.nullish(ropeScaling),
      sliding_attention: v.nullish(ropeScaling),
    }),
    v.transform(({ full_attention, sliding_attention, ...all }) => {
      if (full_attention == null && sliding_attention == null) return { full: all, window: all };
      const type = sliding_attention?.rope_type ?? "default";
      if (type === "default")
        return { full: full_attention ?? undefined, window: sliding_attention ?? undefined };
      throw new LlqError("unsupported", t`config.json: RoPE of type ${type} in layers with a window`, {
        hint: t`supported there: default`,
      });
    }),
  ),
);

/** What of a config RoPE depends on. */
export interface RopeConfig {
  readonly max_position_embeddings: number;
  /** The trained context of what is stretched; here it counts more than in the scaling's own fields. */
  readonly original_max_position_embeddings?: number | null | undefined;
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: Scaling | null | undefined;
  readonly rope_parameters?: Scaling | null | undefined;
}

/** The config with the RoPE of layers without a window, where kinds of layers have parameters of their own. */
export function outsideWindows<T extends RopeConfig>(config: T): T {
  const full = config.rope_parameters?.["full_attention"];
  return full == null ? config : { ...config, rope_parameters: full as Scaling };
}

/** What a config says of its scaling. As in transformers, the older field counts where both are. */
export function scalingOf({ rope_scaling: older, rope_parameters: newer }: RopeConfig): Scaling {
  return (older && Object.keys(older).length > 0 ? older : newer) ?? {};
}

/** The kind of scaling a config asks for; older configs say `type`, newer ones `rope_type`. */
export function scalingType(config: RopeConfig): string {
  const scaling = scalingOf(config);
  const type = scaling.rope_type ?? scaling.type ?? "default";
  // Hunyuan's: a base that is larger, and stays so.
  if (type === "dynamic" && scaling.alpha) return "alpha";
  // Phi-3's first release calls it "su".
  return type === "su" ? "longrope" : type;
}

/** The share of a head that RoPE turns. */
export function rotaryShare(
  config: Pick<RopeConfig, "rope_parameters"> & {
    readonly partial_rotary_factor?: number | null | undefined;
  },
  fallback: number,
): number {
  return config.rope_parameters?.partial_rotary_factor ?? config.partial_rotary_factor ?? fallback;
}

/** RoPE's base. */
export function ropeBase(config: RopeConfig, fallback = 10000): number {
  return scalingOf(config).rope_theta ?? config.rope_parameters?.rope_theta ?? config.rope_theta ?? fallback;
}

/**
 * GGUF's `rope.*` keys (without the architecture) for a Hugging Face config whose RoPE turns `dimensions` of a head.
 * What scaling divides each pair's frequency by has no keys but tensors, see ropeDivisors.
 * @throws LlqError `unsupported` for a kind that the evaluator lacks, `bad-input` for one that lacks a field
 */
export function ropeKeys(
  config: RopeConfig,
  dimensions: number,
  options: RopeOptions = {},
): [string, MetaField][] {
  const kinds = config.rope_parameters ?? {};
  if (JSON.stringify(kinds["sliding_attention"]) !== JSON.stringify(kinds["full_attention"])) {
    throw new LlqError("unsupported", t`config.json: rope_parameters differ by kinds of layers`);
  }
  const same = outsideWindows(config);
  const base = ropeBase(same, options.base) * baseFactor(same, dimensions);
  return [
    ["rope.dimension_count", meta.u32(dimensions)],
    ...some("rope.freq_base", base === 10000 && options.isUsualUnsaid === true ? undefined : base),
    ...scalingKeys(same, options),
  ];
}

function some(key: string, value: number | null | undefined): [string, MetaField][] {
  return value ? [[key, meta.f32(value)]] : [];
}

/** What the base is multiplied by where RoPE turns d dimensions. */
function baseFactor(config: RopeConfig, d: number): number {
  const { alpha } = scalingOf(config);
  return scalingType(config) === "alpha" && alpha ? alpha ** (d / (d - 2)) : 1;
}

export interface RopeOptions {
  /** Where the config has none. */
  readonly base?: number;
  /** The family's converter says no base, and its loader takes 10000: so only another is said. */
  readonly isUsualUnsaid?: boolean;
  /** Loaders of the family read how much the logarithm of the factor weighs (yarn_log_multiplier). */
  readonly logMultiplier?: boolean;
  /** What they have of it; default: all. */
  readonly logShare?: number;
}

function scalingKeys(config: RopeConfig, options: RopeOptions): [string, MetaField][] {
  const type = scalingType(config);
  switch (type) {
    case "default":
    case "alpha":
    case "llama3":
      return [];
    case "dynamic":
      // A key of llq's own: GGUF has no words for a base that grows with the text, beyond the trained context.
      return [["rope.scaling.dynamic_factor", meta.f32(needed(config, "factor"))]];
    case "linear":
      return [
        ["rope.scaling.type", meta.string("linear")],
        ["rope.scaling.factor", meta.f32(needed(config, "factor"))],
      ];
    case "yarn":
      return yarnKeys(config, options);
    case "longrope":
      return longropeKeys(config);
  }
  throw new LlqError("unsupported", t`config.json: rope_scaling of type ${type}`, {
    hint: t`supported: default, linear, dynamic, yarn, llama3, longrope`,
  });
}

type NumberField = "factor" | "low_freq_factor" | "high_freq_factor";

/** A field that the kind of scaling cannot do without. @throws LlqError `bad-input` when it is missing */
export function needed(config: RopeConfig, field: NumberField): number {
  const value = scalingOf(config)[field];
  if (value != null) return value;
  const where = scalingOf(config) === config.rope_scaling ? "rope_scaling" : "rope_parameters";
  throw badInput(t`config.json: ${where}.${field} is missing, which type ${scalingType(config)} needs`);
}

/** A key of llq's own: other loaders always round. */
const untruncated: [string, MetaField] = ["rope.scaling.yarn_truncate", meta.bool(false)];

function yarnKeys(
  config: RopeConfig,
  { logMultiplier = false, logShare = 1 }: RopeOptions,
): [string, MetaField][] {
  const scaling = scalingOf(config);
  const { mscale_all_dim: allDims } = scaling;
  const original = originalContext(config);
  // null means so, as in transformers.
  const factor =
    scaling.factor === null ? config.max_position_embeddings / original : needed(config, "factor");
  // Loaders multiply attn_factor with what they apply by themselves.
  const weight = logMultiplier && allDims ? allDims : undefined;
  const isTenth = weight !== undefined && logShare !== 1;
  const assumed =
    yarnMagnitude(factor) / (weight === undefined ? 1 : yarnMagnitude(factor, isTenth ? 1 : weight));
  const attnFactor = magnitude(scaling, factor) / assumed;
  // Those of tenths would change the scores by it too: a key of llq's own.
  const key = isTenth ? "rope.scaling.yarn_magnitude" : "rope.scaling.attn_factor";
  return [
    ["rope.scaling.type", meta.string("yarn")],
    ["rope.scaling.factor", meta.f32(factor)],
    ["rope.scaling.original_context_length", meta.u32(original)],
    ...some("rope.scaling.yarn_log_multiplier", weight && weight * logShare),
    // What llama.cpp's converter writes of it, and its loader does not use.
    ...some("rope.scaling.yarn_attn_factor", scaling.attention_factor),
    ...(Math.abs(attnFactor - 1) < 1e-12 ? [] : some(key, attnFactor)),
    ...some("rope.scaling.yarn_beta_fast", scaling.beta_fast),
    ...some("rope.scaling.yarn_beta_slow", scaling.beta_slow),
    ...(scaling.truncate === false ? [untruncated] : []),
  ];
}

/** What YaRN makes cosine and sine longer by (_compute_yarn_parameters in transformers). */
function magnitude({ attention_factor, mscale, mscale_all_dim }: Scaling, factor: number): number {
  if (attention_factor != null) return attention_factor;
  if (mscale && mscale_all_dim) return yarnMagnitude(factor, mscale) / yarnMagnitude(factor, mscale_all_dim);
  return yarnMagnitude(factor);
}

/** The trained context of what is stretched. */
export function originalContext(config: RopeConfig): number {
  const { original_max_position_embeddings: inScaling } = scalingOf(config);
  return config.original_max_position_embeddings ?? inScaling ?? config.max_position_embeddings;
}

function longropeKeys(config: RopeConfig): [string, MetaField][] {
  const original = originalContext(config);
  const { factor: stated, attention_factor } = scalingOf(config);
  const factor = stated ?? config.max_position_embeddings / original;
  const usual = factor > 1 ? Math.sqrt(1 + Math.log(factor) / Math.log(original)) : 1;
  return [
    ["rope.scaling.type", meta.string("longrope")],
    ["rope.scaling.original_context_length", meta.u32(original)],
    ["rope.scaling.attn_factor", meta.f32(attention_factor ?? usual)],
  ];
}

/** What GGUF cannot say of the config's RoPE. */
export function ropeRemarks(config: RopeConfig): string[] {
  const { truncate } = scalingOf(config);
  const type = scalingType(config);
  if (type === "dynamic") {
    return [
      t`RoPE's base grows with texts longer than ${config.max_position_embeddings} tokens; of GGUF's readers only llq knows`,
    ];
  }
  if (type === "yarn" && truncate === false) {
    return [t`YaRN's bounds are not rounded (truncate is false); of GGUF's readers only llq knows`];
  }
  return [];
}
