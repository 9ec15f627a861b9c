import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { KeyReader } from "./keys.js";

/** What a router makes of its logits; of the chosen alone, in one case. */
export type Gating = "softmax" | "sigmoid" | "sqrtSoftplus" | "softmaxOfChosen";

/** By GGUF's number (`expert_gating_func`), which is 0 where a file does not say. */
const GATINGS: readonly (Gating | undefined)[] = [
  undefined,
  "softmax",
  "sigmoid",
  "softmaxOfChosen",
  "sqrtSoftplus",
];

/** GGUF's number of a gating. */
export function gatingNumber(gating: Gating): number {
  return GATINGS.indexOf(gating);
}

/** What a file says of its routers; undefined where it says nothing. */
export interface RouterNumbers {
  readonly gating: Gating | undefined;
  /** The weights of the experts that a token goes through are made to add up to 1. */
  readonly normalize: boolean | undefined;
  /** What weights are multiplied by. */
  readonly scale: number | undefined;
  /** Experts are in so many groups, of which `groupsUsed` are looked at; 0 without groups. */
  readonly groupCount: number;
  readonly groupsUsed: number;
  /** Whether a group's score is that of its best expert; else it is the sum of the two best. A key of llq's own. */
  readonly scoresByBest: boolean;
  /** Of a router that draws lots while it learns: how far below the best an expert may be that is drawn (Phi-MoE). */
  readonly jitter: number | undefined;
}

/** Of mixtures of experts; all 0 without. */
export interface ExpertNumbers {
  /** Experts of a layer, and how many of them a token goes through. */
  readonly expertCount: number;
  readonly expertUsedCount: number;
  readonly expertFeedForwardLength: number;
  /** Numbers that experts see; 0 where they see the hidden state. */
  readonly expertLatentLength: number;
  /** Experts that every token goes through, which are one MLP together, and its width; 0 without. */
  readonly sharedExpertCount: number;
  readonly sharedExpertFeedForwardLength: number;
  /** Layers at the beginning that have none; behind them, every so manieth layer has (1: all). */
  readonly leadingDenseCount: number;
  readonly expertLayerStep: number;
  /** Whether a layer has experts, where no step says it. */
  readonly expertLayers: readonly boolean[] | undefined;
  readonly router: RouterNumbers;
  /** Of the clamped SwiGLU; undefined where the file does not say. */
  readonly swigluAlpha: number | undefined;
  readonly swigluLimit: number | undefined;
}

export function readExperts(
  keys: KeyReader,
  architecture: string,
  { feedForwardLength, blockCount }: { readonly feedForwardLength: number; readonly blockCount: number },
): ExpertNumbers {
  const key = (last: string) => `${architecture}.${last}`;
  const count = (last: string, fallback: number) => keys.count(key(last), fallback);
  const expertFeedForwardLength = count("expert_feed_forward_length", feedForwardLength);
  const sharedExpertCount = count("expert_shared_count", 0);
  const expertCount = count("expert_count", 0);
  const expertUsedCount = count("expert_used_count", 0);
  if (expertUsedCount > expertCount) {
    throw badInput(t`${keys.name}: tokens cannot go through ${expertUsedCount} of ${expertCount} experts`);
  }
  const groupCount = count("expert_group_count", 0);
  const groupsUsed = count("expert_group_used_count", 0);
  if (groupCount > 0 && (expertCount % groupCount !== 0 || groupsUsed > groupCount)) {
    throw badInput(
      t`${keys.name}: ${expertCount} experts in ${groupCount} groups, of which ${groupsUsed} are used`,
    );
  }
  return {
    expertCount,
    expertUsedCount,
    expertFeedForwardLength,
    expertLatentLength: count("moe_latent_size", 0),
    sharedExpertCount,
    sharedExpertFeedForwardLength: count(
      "expert_shared_feed_forward_length",
      sharedExpertCount * expertFeedForwardLength,
    ),
    leadingDenseCount: count("leading_dense_block_count", 0),
    expertLayerStep: count("interleave_moe_layer_step", 0) || 1,
    expertLayers: keys.flags(key("expert_layers"), blockCount),
    swigluAlpha: keys.optional(key("swiglu_alpha")),
    swigluLimit: keys.optional(key("swiglu_limit")),
    router: {
      gating: readGating(keys, key("expert_gating_func")),
      normalize: keys.flag(key("expert_weights_norm")),
      scale: keys.optional(key("expert_weights_scale")),
      groupCount: groupsUsed === 0 ? 0 : groupCount,
      groupsUsed,
      scoresByBest: keys.string(key("expert_group_score"), "") === "largest",
      jitter: keys.optional(key("router_jitter")),
    },
  };
}

function readGating(keys: KeyReader, key: string): Gating | undefined {
  const number = keys.count(key, 0);
  if (number < GATINGS.length) return GATINGS[number];
  throw new LlqError("unsupported", t`${keys.name}: routers of kind ${number} (${key})`, {
    hint: t`softmax (1), sigmoid (2), softmax over the chosen (3) and the root of softplus (4) are supported`,
  });
}
