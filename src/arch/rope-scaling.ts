import type { MetaField } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { meta } from "../../formats/gguf-write.js";
import { headDim } from "./architecture.js";
import type { HfConfig } from "./config.js";

/** The kind of RoPE scaling a config asks for; older configs say `type`, newer ones `rope_type`. */
function scalingType(config: HfConfig): string {
  return config.rope_scaling?.rope_type ?? config.rope_scaling?.type ?? "default";
}

/**
 * GGUF's `rope.scaling.*` keys (without the architecture) for a Hugging Face config. The llama3 kind has no
 * keys: it is the tensor rope_freqs.weight, see llama3Divisors.
 * @throws LlqError `unsupported` for a kind that GGUF or the evaluator cannot express
 */
export function ropeScalingMetadata(config: HfConfig): [string, MetaField][] {
  const scaling = config.rope_scaling ?? {};
  const type = scalingType(config);
  const factor = scaling.factor;
  if (type === "default" || type === "llama3") return [];
  if (type === "linear" && factor !== undefined) {
    return [
      ["rope.scaling.type", meta.string("linear")],
      ["rope.scaling.factor", meta.f32(factor)],
    ];
  }
  if (type === "yarn" && factor !== undefined) {
    const original = scaling.original_max_position_embeddings ?? config.max_position_embeddings;
    const keys: [string, MetaField][] = [
      ["rope.scaling.type", meta.string("yarn")],
      ["rope.scaling.factor", meta.f32(factor)],
      ["rope.scaling.original_context_length", meta.u32(original)],
    ];
    if (scaling.attention_factor != null) {
      // Loaders multiply attn_factor with the 1 + 0.1 ln(factor) that they apply by themselves.
      const attnFactor = scaling.attention_factor / (1 + 0.1 * Math.log(factor));
      keys.push(["rope.scaling.attn_factor", meta.f32(attnFactor)]);
    }
    if (scaling.beta_fast != null) keys.push(["rope.scaling.yarn_beta_fast", meta.f32(scaling.beta_fast)]);
    if (scaling.beta_slow != null) keys.push(["rope.scaling.yarn_beta_slow", meta.f32(scaling.beta_slow)]);
    return keys;
  }
  throw new LlqError("unsupported", `config.json: rope_scaling of type ${type}`, {
    hint: "linear, yarn and llama3, each with a factor, are supported",
  });
}

/**
 * The Llama 3.1 divisors of each pair's frequency (head_dim / 2 values), or undefined for other kinds.
 * Wavelengths beyond the original context are divided by `factor`, short ones kept, those between blended
 * (apply_scaling in Meta's llama-models, _compute_llama3_parameters in transformers).
 */
export function llama3Divisors(config: HfConfig): number[] | undefined {
  if (scalingType(config) !== "llama3") return undefined;
  const { factor = 8, low_freq_factor: low = 1, high_freq_factor: high = 4 } = config.rope_scaling ?? {};
  const original = config.rope_scaling?.original_max_position_embeddings ?? 8192;
  const d = headDim(config);
  return Array.from({ length: d / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * (config.rope_theta ?? 10000) ** ((2 * i) / d);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
