import { rowLength } from "../tensor.js";
import type { NormPlan } from "./plan/types.js";
import type { Multiplier } from "./products/matmul.js";

/** Normalizes rows of the norm's length: y = norm(x), both [rows][length]; may be in place. */
export function normalize(on: Multiplier, norm: NormPlan, x: number, y: number, rows: number): void {
  const { kernels, weights } = on;
  const { kind, epsilon, weight, bias } = norm;
  const mark = kernels.mark();
  const whole = rowLength(weight);
  const { length: n = whole } = norm;
  const w = weights.vector(kernels, weight);
  if (kind === "rms" && n === whole) kernels.call("rms_norm")(x, w, y, rows, n, epsilon);
  else if (kind === "rms") {
    for (let row = 0; row < rows; row++) {
      const at = row * n * 4;
      kernels.call("rms_norm")(x + at, w + (at % (whole * 4)), y + at, 1, n, epsilon);
    }
  } else {
    const b = bias === undefined ? 0 : weights.vector(kernels, bias);
    kernels.call("layer_norm")(x, w, b, y, rows, n, epsilon, whole / n);
  }
  kernels.reset(mark);
}
