import * as v from "valibot";
import type { MetaField } from "../../formats/container.js";
import { badInput, LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { yarnMagnitude } from "./numbers/rope.js";

const whole = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));

/** config.json's `rope_scaling`; transformers 5 calls it `rope_parameters` and has the base in it. */
export const ropeScaling = v.looseObject({
  rope_type: v.optional(v.string()),
  type: v.optional(v.string()),
  rope_theta: v.nullish(positive),
  factor: v.nullish(positive),
  original_max_position_embeddings: v.nullish(whole),
  low_freq_factor: v.nullish(positive),
  high_freq_factor: v.nullish(positive),
  attention_factor: v.nullish(positive),
  beta_fast: v.nullish(positive),
  beta_slow: v.nullish(positive),
  truncate: v.nullish(v.boolean()),
  mscale: v.nullish(v.number()),
  mscale_all_dim: v.nullish(v.number()),
  partial_rotary_factor: v.nullish(positive),
  long_factor: v.nullish(v.array(positive)),
  short_factor: v.nullish(v.array(positive)),
});

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
      throw new LlqError("unsupported", `config.json: RoPE of type ${type} in layers with a window`, {
        hint: "supported there: default",
      });
    }),
  ),
);

/** What of a config RoPE depends on. */
export interface RopeConfig {
  readonly max_position_embeddings: number;
  /** What the longrope kind stretches. */
  readonly original_max_position_embeddings?: number | null | undefined;
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: v.InferOutput<typeof ropeScaling> | null | undefined;
  readonly rope_parameters?: v.InferOutput<typeof ropeScaling> | null | undefined;
}

function scalingOf(config: RopeConfig): v.InferOutput<typeof ropeScaling> {
  return config.rope_parameters ?? config.rope_scaling ?? {};
}

/** The kind of scaling a config asks for; older configs say `type`, newer ones `rope_type`. */
function scalingType(config: RopeConfig): string {
  const scaling = scalingOf(config);
  return scaling.rope_type ?? scaling.type ?? "default";
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
  return config.rope_parameters?.rope_theta ?? config.rope_theta ?? fallback;
}

/**
 * GGUF's `rope.*` keys (without the architecture) for a Hugging Face config whose RoPE turns `dimensions` of a
 * head. The llama3 kind of scaling has no keys: it is the tensor rope_freqs.weight, see llama3Divisors.
 * @throws LlqError `unsupported` for a kind that GGUF or the evaluator cannot express
 */
export function ropeKeys(
  config: RopeConfig,
  dimensions: number,
  options: YarnOptions = {},
): [string, MetaField][] {
  return [
    ["rope.dimension_count", meta.u32(dimensions)],
    ["rope.freq_base", meta.f32(ropeBase(config))],
    ...scalingKeys(config, options),
  ];
}

interface YarnOptions {
  /** Loaders of the family read how much the logarithm of the factor weighs (yarn_log_multiplier). */
  readonly logMultiplier?: boolean;
}

function scalingKeys(config: RopeConfig, options: YarnOptions): [string, MetaField][] {
  const scaling = scalingOf(config);
  const type = scalingType(config);
  const { factor } = scaling;
  // The dynamic kind is none as far as the trained context goes, and GGUF has no words for what comes beyond.
  if (type === "default" || type === "llama3" || type === "dynamic") return [];
  if (type === "linear" && factor != null) {
    return [
      ["rope.scaling.type", meta.string("linear")],
      ["rope.scaling.factor", meta.f32(factor)],
    ];
  }
  if (type === "yarn" && factor != null) return yarnKeys(config, factor, options);
  if (isLongrope(type)) return longropeKeys(config);
  throw new LlqError("unsupported", `config.json: rope_scaling of type ${type}`, {
    hint: "linear, yarn and llama3, each with a factor, are supported, and Phi-3's longrope",
  });
}

function yarnKeys(
  config: RopeConfig,
  factor: number,
  { logMultiplier = false }: YarnOptions,
): [string, MetaField][] {
  const { attention_factor, mscale, mscale_all_dim, ...scaling } = scalingOf(config);
  const original = scaling.original_max_position_embeddings ?? config.max_position_embeddings;
  const usual = yarnMagnitude(factor);
  const weighted =
    mscale && mscale_all_dim ? yarnMagnitude(factor, mscale) / yarnMagnitude(factor, mscale_all_dim) : usual;
  const magnitude = attention_factor ?? weighted;
  // What loaders apply by themselves.
  const assumed = logMultiplier && mscale_all_dim ? usual / yarnMagnitude(factor, mscale_all_dim) : usual;
  const keys: [string, MetaField][] = [
    ["rope.scaling.type", meta.string("yarn")],
    ["rope.scaling.factor", meta.f32(factor)],
    ["rope.scaling.original_context_length", meta.u32(original)],
  ];
  if (logMultiplier && mscale_all_dim) {
    keys.push(["rope.scaling.yarn_log_multiplier", meta.f32(mscale_all_dim)]);
  }
  if (attention_factor != null || magnitude !== assumed) {
    keys.push(["rope.scaling.attn_factor", meta.f32(magnitude / assumed)]);
  }
  if (scaling.beta_fast != null) keys.push(["rope.scaling.yarn_beta_fast", meta.f32(scaling.beta_fast)]);
  if (scaling.beta_slow != null) keys.push(["rope.scaling.yarn_beta_slow", meta.f32(scaling.beta_slow)]);
  // A key of our own: other loaders always round.
  if (scaling.truncate === false) keys.push(["rope.scaling.yarn_truncate", meta.bool(false)]);
  return keys;
}

/** Phi-3's first release calls it "su". */
function isLongrope(type: string): boolean {
  return type === "longrope" || type === "su";
}

function originalContext(config: RopeConfig): number {
  const { original_max_position_embeddings: inScaling } = scalingOf(config);
  return config.original_max_position_embeddings ?? inScaling ?? config.max_position_embeddings;
}

function longropeKeys(config: RopeConfig): [string, MetaField][] {
  const original = originalContext(config);
  const factor = config.max_position_embeddings / original;
  const usual = factor > 1 ? Math.sqrt(1 + Math.log(factor) / Math.log(original)) : 1;
  return [
    ["rope.scaling.original_context_length", meta.u32(original)],
    ["rope.scaling.attn_factor", meta.f32(scalingOf(config).attention_factor ?? usual)],
  ];
}

/**
 * The longrope kind's divisors of each pair's frequency, for contexts beyond the original one and up to it, by GGUF
 * name; none for other kinds.
 * @throws LlqError `bad-input` when there is not one for each pair
 */
export function longropeFactors(config: RopeConfig, dimensions: number): Map<string, number[]> {
  const { long_factor, short_factor } = scalingOf(config);
  const factors = new Map<string, number[]>();
  if (!isLongrope(scalingType(config))) return factors;
  for (const [name, values] of [
    ["long", long_factor],
    ["short", short_factor],
  ] as const) {
    if (values?.length !== dimensions / 2) {
      const message = `config.json: ${name}_factor has ${values?.length ?? 0} values for ${dimensions / 2} pairs`;
      throw badInput(message);
    }
    factors.set(`rope_factors_${name}.weight`, values);
  }
  return factors;
}

/**
 * The Llama 3.1 divisors of each pair's frequency (dimensions / 2 values), or undefined for other kinds.
 * Wavelengths beyond the original context are divided by `factor`, short ones kept, those between blended
 * (apply_scaling in Meta's llama-models, _compute_llama3_parameters in transformers).
 */
export function llama3Divisors(config: RopeConfig, dimensions: number): number[] | undefined {
  if (scalingType(config) !== "llama3") return undefined;
  const scaling = scalingOf(config);
  const factor = scaling.factor ?? 8;
  const low = scaling.low_freq_factor ?? 1;
  const high = scaling.high_freq_factor ?? 4;
  const original = scaling.original_max_position_embeddings ?? 8192;
  return Array.from({ length: dimensions / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * ropeBase(config) ** ((2 * i) / dimensions);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
