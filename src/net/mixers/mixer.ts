import type { HParams } from "../../arch/hparams.js";
import type { LayerNumbers } from "../../arch/numbers/layers.js";
import type { MixerTraits, RopeTraits } from "../../arch/traits.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { KvType } from "../../quant/fit/memory.js";
import type { Finder } from "../plan/finder.js";
import type { Half, Linear, MixerPlan, RopePlan } from "../plan/types.js";
import type { Weights } from "../products/weights.js";
import type { Work } from "../work.js";
import type { MixerState } from "./state/state.js";

/** What a layer's plan is made of. */
export interface PlanParts {
  readonly find: Finder;
  readonly hparams: HParams;
  /** Of this layer. */
  readonly numbers: LayerNumbers;
  readonly rope: (traits: RopeTraits) => RopePlan;
}

/** What states have room for. */
export interface StateOptions {
  /** Tokens of a sequence. */
  readonly capacity: number;
  /** Most tokens that are run together. */
  readonly batch: number;
  readonly kvType: KvType;
}

/** Tokens that a sequence has, and the most it had since it was empty. */
export interface Had {
  readonly length: number;
  readonly most: number;
}

/** Tokens that a layer is run for. */
export interface RunSize {
  /** Of hidden states. */
  readonly width: number;
  /** All of the job's, and those of one chunk. */
  readonly tokens: number;
  readonly context: number;
  /** Those that go through a product together. */
  readonly piece: number;
}

/**
 * A way to let a token see those before it. One file: how its plan is found, what its matrices take, the memory it needs,
 * how it runs. A row in index.ts, and families can say it. It knows no family.
 */
export interface Mixer<T extends MixerTraits = MixerTraits, P extends MixerPlan = MixerPlan> {
  readonly kind: T["kind"];
  plan(traits: T, parts: PlanParts): P;
  /**
   * The matrices by what goes into them, in the order in which that comes about; and if each has an input of its own, how
   * many.
   */
  inputs(plan: P): readonly (readonly [input: string, matrices: readonly Linear[], each?: number])[];
  /**
   * Floats that a token keeps where other layers look at them, part after part; absent: none do. Without states it finds or
   * leaves these in `work.kept`; with states, it looks at those of the other layer.
   */
  kept?(plan: P): readonly number[];
  /** Bytes of kernel memory beside the hidden states. */
  memory(plan: P, size: RunSize): number;
  /** Whether a state can forget the tokens from position `length` on; all of them it always can. */
  canTruncate(plan: P, options: StateOptions, had: Had, length: number): boolean;
  /** Bytes of a sequence's state. */
  stateBytes(plan: P, weights: Pick<Weights, "share">, options: StateOptions): number;
  /** The state of a sequence without tokens, in as many bytes of kernel memory. */
  createState(kernels: Kernels, plan: P, weights: Pick<Weights, "share">, options: StateOptions): MixerState;
  /** x += postNorm(mix(norm(from))) for the tokens at hand; `from` and x are [tokens][width]. Chunks go on
   * from `work.states`, and leave them behind their last token. */
  run(work: Work, half: Half<P>, from: number, x: number): void;
}
