import type { MixerTraits } from "../../arch/traits.js";
import type { MixerPlan } from "../plan/types.js";
import type { Work } from "../work.js";
import type { Mixer } from "./mixer.js";
import { RecurrentState } from "./state/recurrent-state.js";

/** Of layers that are a feed-forward alone: no token sees another. */
export const noMixer: Mixer<MixerTraits & { kind: "none" }, MixerPlan & { kind: "none" }> = {
  kind: "none",
  plan: () => ({ kind: "none" }),
  inputs: () => [],
  memory: () => 0,
  canTruncate: (_, __, had, length) => length === had.length,
  stateBytes: () => 0,
  createState: (kernels) => new RecurrentState(kernels, [0]),
  run: ({ states, batch }: Work) => {
    for (const state of (states as readonly RecurrentState[] | undefined) ?? []) state.advance(batch.context);
  },
};
