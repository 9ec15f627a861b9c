import { compileKernels, Kernels } from "../../kernels/kernels.js";
import { type Fused, untriedFused } from "../../kernels/products.js";
import { noise, place } from "./operands.js";

// Whether the module of fused products is right on this engine. Its bits are the engine's own, so it is compared with exact
// products, within what f32 can be off by, and with itself.

/** How often everything is tried: engines optimize what has run for a while, which must change no bit. */
const ROUNDS = 40;
/** Steps of k that are added up before they are added to the others: KC of assembly/gemm/matmul_f32.ts. */
const PART = 256;
/** Half a unit in the last place of 1. */
const UNIT = 2 ** -24;

/** Two parts of k and one that is odd; a wide tile of 16 rows and a narrow one, which has the first eight of them again. */
const SIZE = { tokens: 10, rows: 24, k: 2 * PART + 89 };
const AGAIN = 16;

let chosen: { readonly fused: Fused | undefined } | undefined;

/** The module, if this engine has one that is right: undefined means that evaluations are exact whatever is asked for. */
export function chooseFused(): Fused | undefined {
  chosen ??= { fused: rightOf(untriedFused()) };
  return chosen.fused;
}

/** The module if it passes its trials. */
export function rightOf(fused: Fused | undefined): Fused | undefined {
  if (fused === undefined) return undefined;
  const kernels = new Kernels(compileKernels(), undefined, undefined, fused);
  return areRight(KINDS.map((kind) => fusedTrial(kernels, kind))) ? fused : undefined;
}

/** A product that is known, and what a module makes of it. */
export interface FusedTrial {
  /** [tokens][rows] */
  readonly expected: Float64Array;
  /** The most that each may be off. */
  readonly bounds: Float64Array;
  readonly run: () => void;
  /** What the last run wrote, [tokens][rows]. Valid until the kernels' memory grows. */
  readonly result: () => Float32Array;
}

/** Whether all results are within their bounds, the same in every round, and the same in wide tiles and narrow ones. */
export function areRight(trials: readonly FusedTrial[]): boolean {
  return trials.every(({ expected, bounds, run, result }) => {
    run();
    const first = result().slice();
    const isNear = first.every((y, i) => Math.abs(y - expected[i]!) <= bounds[i]!);
    const isAlike = first.every((y, i) => {
      const row = i % SIZE.rows;
      return row < AGAIN || Object.is(y, first[i - AGAIN]);
    });
    if (!isNear || !isAlike) return false;
    for (let round = 1; round < ROUNDS; round++) {
      run();
      if (!result().every((y, i) => Object.is(y, first[i]))) return false;
    }
    return true;
  });
}

/** Whole numbers whose sums have 24 bits at most, so that nothing is rounded; and noise. */
const KINDS = ["whole", "noise"] as const;

/** Operands in place, with their product in f64, to which those of f32 are exact and whose additions err 2^-29 as much. */
export function fusedTrial(kernels: Kernels, kind: (typeof KINDS)[number]): FusedTrial {
  const { tokens, rows, k } = SIZE;
  const draw = kind === "whole" ? (value: number) => Math.round(8 * value) : (value: number) => value;
  const xs = noise(tokens * k).map(draw);
  const ws = noise(rows * k, 2).map(draw);
  ws.copyWithin(AGAIN * k, 0, (rows - AGAIN) * k);
  const [x, w] = [place(kernels, xs), place(kernels, ws)];
  const padded = Math.ceil(tokens / 4) * 4;
  const [xPacked, wPacked] = [kernels.reserve(padded * k * 4), kernels.reserve(rows * k * 4)];
  const y = kernels.reserve(padded * rows * 4);
  kernels.call("pack_blocks4")(x, k * 4, tokens, k, xPacked);
  kernels.call("pack_panels8")(w, k * 4, rows, k, wPacked);
  const [expected, sizes] = [new Float64Array(tokens * rows), new Float64Array(tokens * rows)];
  for (let at = 0; at < expected.length; at++) {
    const [token, row] = [Math.floor(at / rows), at % rows];
    for (let i = 0; i < k; i++) {
      const product = xs[token * k + i]! * ws[row * k + i]!;
      expected[at]! += product;
      sizes[at]! += Math.abs(product);
    }
  }
  const factor = kind === "whole" ? 0 : errorOf(k);
  return {
    expected,
    bounds: sizes.map((size) => factor * size),
    run: () => kernels.call("matmul_f32")(xPacked, wPacked, y, tokens, rows, k),
    result: () => kernels.floats(y, tokens * rows),
  };
}

/**
 * What a product of k columns in f32 may be off by, over the sum of its terms' sizes: n u / (1 - n u), where no term is rounded more
 * than n times (Higham, Accuracy and Stability of Numerical Algorithms, 3.1): itself, in the sum of its part, in that of parts.
 */
function errorOf(k: number): number {
  const roundings = 1 + Math.min(k, PART) + Math.ceil(k / PART);
  return (roundings * UNIT) / (1 - roundings * UNIT);
}
