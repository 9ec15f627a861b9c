import type { DecoderTraits } from "../arch/architecture.js";
import type { HParams } from "../arch/hparams.js";
import { rowLength } from "../tensor.js";
import type { NormPlan } from "./plan/decoder.js";
import { type Multiplier, readVector } from "./products/matmul.js";

/** Where norms are computed, and of which kind they are. */
export interface Normalizer extends Multiplier {
  readonly hparams: HParams;
  readonly traits: DecoderTraits;
}

/** Normalizes rows of the norm's length: y = norm(x), both [rows][length]; may be in place. */
export function normalize(
  on: Normalizer,
  { weight, bias }: NormPlan,
  x: number,
  y: number,
  rows: number,
): void {
  const { kernels, hparams, traits } = on;
  const mark = kernels.mark();
  const n = rowLength(weight);
  const w = readVector(on, weight);
  if (traits.norm === "rms") kernels.call("rms_norm")(x, w, y, rows, n, hparams.normEpsilon);
  else {
    const b = bias === undefined ? 0 : readVector(on, bias);
    kernels.call("layer_norm")(x, w, b, y, rows, n, hparams.normEpsilon);
  }
  kernels.reset(mark);
}
