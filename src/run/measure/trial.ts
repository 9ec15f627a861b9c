import type { DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { checkFinite } from "../../rows/finite.js";
import { type Descriptors, readRowsF32, rowBytes } from "../../rows/rows.js";
import { matrixOf, rowCount, rowLength, type Tensor } from "../../tensor.js";
import type { JobKind } from "../threads/messages.js";

/** A type to try, with the rounding that an importance matrix guides or without. */
export interface Trial {
  readonly dtype: DTypeName;
  readonly guided: boolean;
}

/** Work for one thread: what some types would cost a tensor, judged by some of its rows. Plain data. */
export interface TrialJob {
  readonly tensor: Tensor;
  readonly files: Descriptors;
  readonly trials: readonly Trial[];
  /** Importances of the columns, of each of the stacked matrices: they weight the error, guided or not. */
  readonly weights: readonly Float32Array[] | undefined;
}

/** For each trial Σ v (w - ŵ)² / Σ v w² over the rows, v the columns' importances. */
export type TrialResult = readonly number[];

/** Rows that speak for a tensor; they lie evenly over it, and so over its stacked matrices. */
const SAMPLE_ROWS = 256;

/** Types whose search goes through a codebook are tried on some of these rows: it takes ten times as long. */
const IS_SLOW = /^IQ[123]/;
const STEP = 4;
const FEW_ROWS = 64;

export function tryTypes(job: TrialJob, kernels: Kernels): TrialResult {
  kernels.reset();
  const { tensor, files, trials, weights } = job;
  const length = rowLength(tensor);
  const rows = sampleRows(rowCount(tensor));
  const x = kernels.reserve(length * 4);
  const back = kernels.reserve(length * 4);
  const importances = kernels.reserve(length * 4);
  const y = kernels.reserve(Math.max(...trials.map(({ dtype }) => rowBytes(tensor, dtype))));
  const errors = new Float64Array(trials.length);
  const totals = new Float64Array(trials.length);
  const steps = trials.map(({ dtype }) => (IS_SLOW.test(dtype) && rows.length > FEW_ROWS ? STEP : 1));
  for (const [at, row] of rows.entries()) {
    readRowsF32(kernels, files, tensor, row, 1, x);
    checkFinite(kernels, tensor, x, length, row);
    const own = weights?.[matrixOf(tensor, row)];
    if (own !== undefined) kernels.floats(importances, length).set(own);
    const original = kernels.floats(x, length);
    const total = weighted(original, undefined, own);
    for (const [i, { dtype, guided }] of trials.entries()) {
      if (at % steps[i]! !== 0) continue;
      totals[i]! += total;
      kernels.fromF32(dtype, x, y, length, guided && own !== undefined ? importances : undefined);
      kernels.toF32(dtype, y, back, length);
      errors[i]! += weighted(kernels.floats(x, length), kernels.floats(back, length), own);
    }
  }
  return Array.from(errors, (error, i) => (totals[i]! > 0 ? error / totals[i]! : 0));
}

export const trialJob: JobKind<TrialJob, TrialResult> = {
  name: "trial",
  run: tryTypes,
  about: ({ tensor, trials }) => `tensor ${tensor.name} to ${trials.map(({ dtype }) => dtype).join(", ")}`,
};

function sampleRows(rows: number): number[] {
  const count = Math.min(rows, SAMPLE_ROWS);
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * rows) / count));
}

/** Σ v (a - b)², b nothing if it is absent. */
function weighted(a: Float32Array, b: Float32Array | undefined, v: Float32Array | undefined): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) {
    const difference = a[j]! - (b === undefined ? 0 : b[j]!);
    sum += (v === undefined ? 1 : v[j]!) * difference * difference;
  }
  return sum;
}
