import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import {
  needed,
  originalContext,
  type RopeConfig,
  rotaryShare,
  scalingOf,
  scalingType,
} from "../rope-scaling.js";

/**
 * What divides each pair's frequency, by the GGUF names of the tensors: dimensions / 2 values of the llama3 and the
 * proportional kind, or two times as many of the longrope kind, for contexts beyond the original one and up to it. None for
 * other kinds.
 * @throws LlqError `bad-input` when there is not one for each pair
 */
export function ropeDivisors(
  config: RopeConfig,
  { dimensions, base }: { readonly dimensions: number; readonly base: number },
): Map<string, number[]> {
  const type = scalingType(config);
  if (type === "llama3") return new Map([["rope_freqs.weight", llama3Divisors(config, dimensions, base)]]);
  if (type === "proportional") return new Map([["rope_freqs.weight", proportional(config, dimensions)]]);
  const divisors = new Map<string, number[]>();
  if (type !== "longrope") return divisors;
  for (const name of ["long", "short"] as const) {
    const values = scalingOf(config)[`${name}_factor`];
    if (values?.length !== dimensions / 2) {
      const message = t`config.json: ${name}_factor has ${values?.length ?? 0} values for ${dimensions / 2} pairs`;
      throw badInput(message);
    }
    divisors.set(`rope_factors_${name}.weight`, values);
  }
  return divisors;
}

/**
 * Wavelengths beyond the original context are divided by `factor`, short ones kept, those between blended
 * (apply_scaling in Meta's llama-models, _compute_llama3_parameters in transformers). Each step is rounded to f32, as it is
 * there and in llama.cpp's converter, whose tensor has the same bits for every published base.
 */
function llama3Divisors(config: RopeConfig, dimensions: number, base: number): number[] {
  const [factor, low, high] = (["factor", "low_freq_factor", "high_freq_factor"] as const).map((field) =>
    needed(config, field),
  ) as [number, number, number];
  const original = originalContext(config);
  const f = Math.fround;
  return Array.from({ length: dimensions / 2 }, (_, i) => {
    const wavelength = f(f(2 * Math.PI) / f(1 / f(f(base) ** f((2 * i) / dimensions))));
    if (wavelength < f(original / high)) return 1;
    if (wavelength > f(original / low)) return factor;
    const smooth = f(f(f(original / wavelength) - f(low)) / f(high - low));
    return f(1 / f(f(f(1 - smooth) / f(factor)) + smooth));
  });
}

/** Only the first pairs are turned, at frequencies of the whole head; the others so slowly that it is not at all. */
function proportional(config: RopeConfig, dimensions: number): number[] {
  const turned = Math.floor((rotaryShare(config, 1) * dimensions) / 2);
  const { factor } = scalingOf(config);
  return Array.from({ length: dimensions / 2 }, (_, i) => (i < turned ? (factor ?? 1) : 1e30));
}
