import { meta } from "../../../formats/gguf/gguf-write.js";
import type { HfModel } from "../architecture.js";
import type { HParams } from "../hparams.js";
import { type Gating, gatingNumber } from "../numbers/experts.js";
import type { RouterTraits } from "../traits.js";

// What families with mixtures of experts share: the keys that say how tokens come to experts, and what they mean.

/** What a config.json says of its experts, in GGUF's terms; what is absent has no key. */
export interface ExpertConfig {
  readonly count: number;
  readonly used: number;
  readonly feedForwardLength?: number | null | undefined;
  readonly sharedCount?: number | null | undefined;
  readonly sharedFeedForwardLength?: number | null | undefined;
  readonly leadingDenseCount?: number | null | undefined;
  readonly layerStep?: number | null | undefined;
  readonly gating?: Gating | undefined;
  readonly normalize?: boolean | null | undefined;
  readonly scale?: number | null | undefined;
  readonly groupCount?: number | null | undefined;
  readonly groupsUsed?: number | null | undefined;
}

export function expertKeys(config: ExpertConfig): HfModel["keys"] {
  const count = (key: string, value: number | null | undefined) =>
    value == null ? [] : [[key, meta.u32(value)] as const];
  const { gating, normalize, scale } = config;
  return [
    ["expert_count", meta.u32(config.count)],
    ["expert_used_count", meta.u32(config.used)],
    ...count("expert_feed_forward_length", config.feedForwardLength),
    ...count("expert_shared_count", config.sharedCount),
    ...count("expert_shared_feed_forward_length", config.sharedFeedForwardLength),
    ...count("leading_dense_block_count", config.leadingDenseCount),
    ...count("interleave_moe_layer_step", config.layerStep),
    ...count("expert_group_count", config.groupCount),
    ...count("expert_group_used_count", config.groupsUsed),
    ...(gating === undefined ? [] : [["expert_gating_func", meta.u32(gatingNumber(gating))] as const]),
    ...(normalize == null ? [] : [["expert_weights_norm", meta.bool(normalize)] as const]),
    ...(scale == null ? [] : [["expert_weights_scale", meta.f32(scale)] as const]),
  ];
}

/** How a model's tokens come to experts: as its keys say, and where they do not, as is usual for the architecture. */
export function routerOf({ router }: HParams, usual: RouterTraits): RouterTraits {
  const { gating, normalize, scale, groupCount, groupsUsed } = router;
  return {
    ...usual,
    gating: gating ?? usual.gating,
    normalize: normalize ?? usual.normalize ?? false,
    scale: scale ?? usual.scale,
    groups:
      groupCount > 1
        ? { count: groupCount, used: groupsUsed, score: usual.groups?.score ?? "twoLargest" }
        : undefined,
  };
}
