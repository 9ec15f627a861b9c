import { rowCount } from "../tensor.js";
import { normalize } from "./norm.js";
import type { LowRankPlan, NormPlan } from "./plan/types.js";
import { exchange, multiply, packInput } from "./products/matmul.js";
import { piecesOf, type Work } from "./work.js";

/**
 * n + postNorm(right · left · n) with n = norm(from): a way past the mixer that is learned (LAuReL, arXiv:2411.07501).
 * [tokens][width]; the memory is the caller's to give back.
 */
export function besideMixer(
  work: Work,
  { left, right, postNorm }: LowRankPlan,
  norm: NormPlan,
  from: number,
): number {
  const { kernels, batch } = work;
  const { width, chunks, context } = batch;
  const result = kernels.reserve(chunks * context * width * 4);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const at = first * width * 4;
    const n = kernels.reserve(count * width * 4);
    normalize(work, norm, from + at, n, count);
    const low = kernels.reserve(count * rowCount(left.weight) * 4);
    multiply(work, left, packInput(work, n, count, [left]), low, "copy_columns");
    exchange(work, count, [left, low]);
    multiply(work, right, packInput(work, low, count, [right]), result + at, "copy_columns");
    exchange(work, count, [right, result + at]);
    normalize(work, postNorm, result + at, result + at, count);
    kernels.call("add_columns")(n, 0, result + at, 0, 1, count * width);
    kernels.reset(mark);
  }
  return result;
}
