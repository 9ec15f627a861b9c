import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { KeyReader } from "./keys.js";

/** How RoPE angles are stretched beyond the trained context, in GGUF's terms. */
export type RopeScaling =
  | { readonly type: "none" }
  | { readonly type: "linear"; readonly factor: number }
  /** The base grows with texts beyond the trained context. */
  | { readonly type: "dynamic"; readonly factor: number }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The pairs between which frequencies are blended are whole ones. */
      readonly truncate: boolean;
    };

/** How a model's RoPE is stretched. */
export interface RopeNumbers {
  readonly ropeScaling: RopeScaling;
  /** Cosine and sine are longer by this; YaRN's own part of it not counted. */
  readonly ropeAttnFactor: number;
  /** What they are longer by instead, in texts of up to the original context and in longer ones, where the two differ. */
  readonly ropeMscale: { readonly short: number; readonly long: number } | undefined;
  /** The context that RoPE was trained with before it was stretched. */
  readonly ropeOriginalContext: number;
  /** Whether RoPE was there in training: files of some architectures say so that there is any. */
  readonly ropeFinetuned: boolean | undefined;
  /** DeepSeek's weight of the factor's logarithm in scores; undefined where the file has none. */
  readonly ropeLogMultiplier: number | undefined;
}

/** Architectures whose files have a tenth of it, from before others had the key. */
const TENTHS: ReadonlySet<string> = new Set(["deepseek2", "deepseek32", "mistral4"]);

/** @throws LlqError `unsupported` for a kind that the evaluator lacks */
export function readRopeScaling(keys: KeyReader, architecture: string, contextLength: number): RopeNumbers {
  const key = (last: string) => `${architecture}.rope.scaling.${last}`;
  const ropeScaling = readScaling(keys, key);
  const stored = keys.optional(key("yarn_log_multiplier"));
  const isTenth = TENTHS.has(architecture);
  const allDims = stored && (isTenth ? stored * 10 : stored);
  // Where a file has it, YaRN's own 1 + 0.1 ln(factor) is divided by 1 + 0.1 allDims ln(factor), mscale being 1; in files
  // with tenths by itself, mscale being what allDims is.
  const shorter =
    ropeScaling.type === "yarn" && allDims !== undefined
      ? yarnMagnitude(ropeScaling.factor, isTenth ? 1 : allDims)
      : 1;
  const [short, long] = [keys.optional(key("short_mscale")), keys.optional(key("long_mscale"))];
  return {
    ropeScaling,
    ropeMscale: short === undefined || long === undefined ? undefined : { short, long },
    ropeAttnFactor:
      (keys.positive(key("attn_factor"), 1) * keys.positive(key("yarn_magnitude"), 1)) / shorter,
    ropeOriginalContext: keys.count(key("original_context_length"), contextLength),
    ropeLogMultiplier: allDims,
    ropeFinetuned: keys.flag(key("finetuned")),
  };
}

/** How much longer YaRN makes cosine and sine. @param mscale DeepSeek's weight of the logarithm */
export function yarnMagnitude(factor: number, mscale = 1): number {
  return factor <= 1 ? 1 : 1 + 0.1 * mscale * Math.log(factor);
}

function readScaling(keys: KeyReader, key: (last: string) => string): RopeScaling {
  // As llama.cpp has it: a factor without a type is linear, and files of 2023 have another name for it.
  const type = keys.string(key("type"), "linear");
  const dynamic = keys.optional(key("dynamic_factor"));
  if (dynamic !== undefined) return { type: "dynamic", factor: dynamic };
  const factor =
    keys.optional(key("factor")) ?? keys.optional(key("").replace(/scaling\.$/, "scale_linear")) ?? 1;
  switch (type) {
    case "none":
      return { type };
    case "linear":
    case "longrope": // its divisors are tensors
      return factor === 1 ? { type: "none" } : { type: "linear", factor };
    case "yarn":
      return {
        type,
        factor,
        betaFast: keys.positive(key("yarn_beta_fast"), 32),
        betaSlow: keys.positive(key("yarn_beta_slow"), 1),
        truncate: keys.flag(key("yarn_truncate")) ?? true,
      };
    default:
      throw new LlqError("unsupported", t`${keys.name}: RoPE scaling of type ${type}`, {
        hint: t`none, linear, longrope and yarn are supported`,
      });
  }
}
