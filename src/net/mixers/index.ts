import type { MixerTraits } from "../../arch/traits.js";
import type { MixerPlan } from "../plan/types.js";
import { attentionMixer } from "./attention/attention.js";
import { deltaNetMixer } from "./delta-net.js";
import { kdaMixer } from "./kda.js";
import { latentMixer } from "./latent/absorbed.js";
import { expandedLatentMixer } from "./latent/expanded.js";
import { mambaMixer } from "./mamba.js";
import { mamba2Mixer } from "./mamba2.js";
import type { Mixer } from "./mixer.js";
import { noMixer } from "./none.js";
import { shortConvMixer } from "./short-conv.js";
import { sideBySideMixer } from "./side-by-side.js";

/** Every mixer. A new one is a file beside this and an entry here. */
// biome-ignore lint/suspicious/noExplicitAny: each takes its own traits and plans
export const MIXERS: Mixer<any, any>[] = [
  attentionMixer,
  latentMixer,
  expandedLatentMixer,
  mambaMixer,
  mamba2Mixer,
  deltaNetMixer,
  kdaMixer,
  shortConvMixer,
  noMixer,
  sideBySideMixer(mixerOf),
];

/** The mixer of traits or of a plan. */
export function mixerOf({ kind }: MixerTraits | MixerPlan): Mixer {
  const found = MIXERS.find((mixer) => mixer.kind === kind);
  if (found === undefined) throw new Error(`no mixer ${kind}`);
  return found;
}
