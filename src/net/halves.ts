import type { LayerPlan, MixerPlan } from "./plan/types.js";

const NO_MIXER: MixerPlan = { kind: "none" };

/**
 * A layer as one or two that are run one after the other: the mixer and the feed-forward, where the second sees what the
 * first has made.
 */
export function halvesOf(layer: LayerPlan): LayerPlan[] {
  const { parallel, feedForward, mixer, residual, streams, lowRank } = layer;
  if (parallel || feedForward === undefined || mixer.plan.kind === "none") return [layer];
  if (residual.of === "normed" || streams !== undefined || lowRank !== undefined) return [layer];
  return [
    { ...layer, feedForward: undefined, input: undefined, outputScale: undefined },
    { ...layer, mixer: { norm: undefined, plan: NO_MIXER, postNorm: undefined } },
  ];
}
