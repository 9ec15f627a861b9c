import { yarnMagnitude } from "../../arch/numbers/rope.js";
import type { RopePairs } from "../../arch/traits.js";
import type { RopeParameters, RopePlan } from "../plan/types.js";
import type { Work } from "../work.js";
import { prefixPlaces } from "./prefix.js";

/**
 * Cosine and sine of each position's and pair's angle: [positions][pairs][2]. Computed in f64, kept in f32.
 * The angle of pair i at position p is p × base^(-2i/d) / divisor[i], stretched as the scaling says.
 * @param divisors of each pair's frequency (the tensors rope_freqs and rope_factors), if the model has them
 */
export function ropeTable(
  parameters: RopeParameters,
  positions: number,
  divisors: ArrayLike<number> | undefined,
): Float32Array<SharedArrayBuffer> {
  const { ropeDimensionCount: d } = parameters;
  const base = baseFor(parameters, positions);
  const pairs = d / 2;
  const magnitude = ropeMagnitude(parameters, positions);
  const frequencies = Array.from({ length: pairs }, (_, i) => {
    const frequency = base ** ((-2 * i) / d) / (divisors?.[i] ?? 1);
    return frequency * stretch(parameters, i);
  });
  const table = new Float32Array(new SharedArrayBuffer(positions * pairs * 8));
  for (let position = 0, at = 0; position < positions; position++) {
    for (const frequency of frequencies) {
      table[at++] = Math.cos(position * frequency) * magnitude;
      table[at++] = Math.sin(position * frequency) * magnitude;
    }
  }
  return table;
}

/** RoPE's base in a text of so many positions (_compute_dynamic_ntk_parameters in transformers). */
function baseFor(parameters: RopeParameters, positions: number): number {
  const { ropeScaling, ropeFreqBase: base, ropeDimensionCount: d, ropeOriginalContext } = parameters;
  if (ropeScaling.type !== "dynamic" || positions <= ropeOriginalContext) return base;
  const { factor } = ropeScaling;
  return base * ((factor * positions) / ropeOriginalContext - (factor - 1)) ** (d / (d - 2));
}

/** What scaling makes of the frequency of pair `i`, as a factor. */
function stretch(parameters: RopeParameters, i: number): number {
  const { ropeScaling: scaling, ropeDimensionCount: d, ropeFreqBase: base } = parameters;
  switch (scaling.type) {
    case "none":
    case "dynamic":
      return 1;
    case "linear":
      return 1 / scaling.factor;
    case "yarn": {
      // Pairs that turn often within the trained context keep their frequency, those that hardly turn are
      // stretched, those between are blended ("NTK by parts", arXiv:2309.00071; rope_yarn in ggml).
      const { factor, betaFast, betaSlow, truncate } = scaling;
      const pairOf = (turns: number) =>
        (d * Math.log(parameters.ropeOriginalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
      const [first, last] = [pairOf(betaFast), pairOf(betaSlow)];
      const low = Math.max(0, truncate ? Math.floor(first) : first);
      const high = Math.min(d - 1, truncate ? Math.ceil(last) : last);
      const stretched = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
      return stretched / factor + (1 - stretched);
    }
  }
}

/** Stretched RoPE sharpens attention by making cosine and sine longer. */
function ropeMagnitude(parameters: RopeParameters, positions: number): number {
  const { ropeScaling, ropeAttnFactor, ropeMscale, ropeOriginalContext } = parameters;
  if (ropeMscale !== undefined) return positions > ropeOriginalContext ? ropeMscale.long : ropeMscale.short;
  return ropeAttnFactor * (ropeScaling.type === "yarn" ? yarnMagnitude(ropeScaling.factor) : 1);
}

/** Floats from the first of a pair to the first of the next, and between the two of a pair. */
const PAIRS: Readonly<Record<RopePairs, (pairs: number) => [step: number, distance: number]>> = {
  neighbours: () => [2, 1],
  halves: (pairs) => [1, pairs],
  prefixAndRest: (pairs) => [1, pairs],
};

/** What RoPE turns: heads side by side. */
export interface Turned {
  readonly rope?: RopePlan | undefined;
  readonly keyLength: number;
}

/** Gives `heads` heads of every token at `x` their positions; nothing without RoPE. */
export function turn(work: Work, { rope, keyLength }: Turned, x: number, heads: number): void {
  if (rope === undefined) return;
  const { kernels, batch } = work;
  const { chunks, context } = batch;
  const { ropeDimensionCount } = rope;
  const pairs = ropeDimensionCount / 2;
  const [step, distance] = PAIRS[rope.pairs](pairs);
  const mark = kernels.mark();
  const table = kernels.reserve(context * pairs * 8);
  const own = kernels.floats(table, context * pairs * 2);
  // The dimensions of a head that are turned, or those of both its halves, each by a place of its own.
  const halves = rope.pairs === "prefixAndRest" ? ([0, 1] as const) : ([0] as const);
  for (let chunk = 0; chunk < chunks; chunk++) {
    for (const half of halves) {
      placeAngles(own, work, rope, chunk, half);
      const at = x + (chunk * context * heads * keyLength + half * ropeDimensionCount) * 4;
      kernels.call("rope")(at, table, context, heads, keyLength, pairs, step, distance);
    }
  }
  kernels.reset(mark);
}

/** The angles of a chunk's tokens, of all the table's. */
function placeAngles(own: Float32Array, work: Work, rope: RopePlan, chunk: number, half: 0 | 1): void {
  const { context, starts, prefixes } = work.batch;
  const angles = new Float32Array(work.rope!);
  const size = rope.ropeDimensionCount;
  const start = starts?.[chunk] ?? 0;
  if (rope.pairs !== "prefixAndRest") {
    own.set(angles.subarray(start * size, (start + context) * size));
    return;
  }
  for (const [i, places] of prefixPlaces(prefixes![chunk]!, start, context).entries()) {
    own.set(angles.subarray(places[half] * size, (places[half] + 1) * size), i * size);
  }
}
