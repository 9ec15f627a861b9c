import type { MixerTraits, SideBySideTraits } from "../../arch/traits.js";
import { aligned } from "../../kernels/kernels.js";
import { normalize } from "../norm.js";
import type { MixerPlan } from "../plan/types.js";
import { batchTokens } from "../span.js";
import type { Mixer } from "./mixer.js";
import type { MixerState } from "./state/state.js";

/** Several mixers that see the same tokens, and whose outputs are added up. */
export interface SideBySidePlan extends MixerPlan {
  readonly kind: "side-by-side";
  readonly parts: readonly MixerPlan[];
}

/** What a sequence leaves in each of the mixers. */
class SideBySideState implements MixerState {
  readonly parts: readonly MixerState[];

  constructor(parts: readonly MixerState[]) {
    this.parts = parts;
  }

  get length(): number {
    return this.parts[0]!.length;
  }

  /** To be asked only where the mixers' `canTruncate` says yes: one that could not would leave the others cut. */
  truncate(length: number): boolean {
    return this.parts.every((part) => part.truncate(length));
  }

  copyFrom(other: SideBySideState): void {
    for (const [i, part] of this.parts.entries()) part.copyFrom(other.parts[i]!);
  }
}

/** The mixer of layers that have several, of those that `mixerOf` knows. */
export function sideBySideMixer(
  mixerOf: (of: MixerTraits | MixerPlan) => Mixer,
): Mixer<SideBySideTraits, SideBySidePlan> {
  return {
    kind: "side-by-side",
    plan({ mixers }, parts) {
      const plans = mixers.map((traits) => mixerOf(traits).plan(traits, parts));
      const rope = plans.find((plan) => plan.rope !== undefined)?.rope;
      // A layer is given one table of angles.
      if (plans.some((plan) => plan.rope !== undefined && plan.rope !== rope)) {
        throw new Error("mixers side by side with RoPE of two kinds");
      }
      return { kind: "side-by-side", parts: plans, rope };
    },
    inputs: ({ parts }) => parts.flatMap((part) => mixerOf(part).inputs(part)),
    memory: ({ parts }, size) =>
      4 * size.tokens * size.width + Math.max(...parts.map((part) => mixerOf(part).memory(part, size))),
    canTruncate: ({ parts }, options, had, length) =>
      parts.every((part) => mixerOf(part).canTruncate(part, options, had, length)),
    stateBytes: ({ parts }, weights, options) =>
      parts.reduce((end, part) => aligned(end) + mixerOf(part).stateBytes(part, weights, options), 0),
    createState: (kernels, { parts }, weights, options) =>
      new SideBySideState(parts.map((part) => mixerOf(part).createState(kernels, part, weights, options))),
    /** Each adds to a sum that begins with zeros, so that all see the same x. */
    run(work, { norm, plan, postNorm }, from, x) {
      const { kernels, batch } = work;
      const floats = batchTokens(batch) * batch.width;
      const mark = kernels.mark();
      const sum = kernels.reserve(floats * 4);
      kernels.bytes(sum, floats * 4).fill(0);
      const states = work.states as readonly SideBySideState[] | undefined;
      for (const [i, part] of plan.parts.entries()) {
        const own = states?.map(({ parts }) => parts[i]!);
        mixerOf(part).run({ ...work, states: own }, { norm, plan: part, postNorm: undefined }, from, sum);
      }
      if (postNorm !== undefined) normalize(work, postNorm, sum, sum, batchTokens(batch));
      kernels.call("add_scaled")(sum, 1, x, floats);
      kernels.reset(mark);
    },
  };
}
