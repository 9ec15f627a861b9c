import type { TensorPlan } from "../../quant/plan.js";
import { checkTensor } from "../../run/write/tensor-jobs.js";
import { rowCount } from "../../tensor.js";
import { type FeedbackResult, feedbackJob, rowsOfFeedback, type Wanted } from "./codes/feedback.js";
import type { Held } from "./codes/held.js";
import type { Context } from "./context.js";
import type { Factor } from "./moments/factor.js";
import type { FeedbackReport } from "./scratch.js";

/** What a matrix is rounded by. */
export interface Guide {
  readonly factor: Factor | undefined;
  readonly wanted: Wanted | undefined;
  readonly held: Held | undefined;
  /** Of the columns, where the plan has none of its own. */
  readonly importances: Float32Array;
  /** Tokens that moments are made of. */
  readonly tokens: number;
}

/** The importance of a column that no token has touched, as a part of the mean: blocks need something to go by. */
const LEAST_IMPORTANCE = 1e-6;

/** Tokens that count as much as knowing nothing: that all columns are alike. */
const DOUBT = 32;

/**
 * Mean squares of what goes into the columns, from their sums over so many tokens.
 * @param evidence how many of the tokens say something new: with few, columns are taken to be more alike
 */
export function importancesOf(diagonal: Float64Array, tokens: number, evidence: number): Float32Array {
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / diagonal.length;
  const least = mean > 0 ? mean * LEAST_IMPORTANCE : 1;
  const trust = evidence / (evidence + DOUBT);
  return Float32Array.from(
    diagonal,
    (value) => (Math.max(value, least) * trust + Math.max(mean, least) * (1 - trust)) / Math.max(1, tokens),
  );
}

/** Rounds the rows of one of a tensor's matrices into the scratch file. */
export async function roundMatrix(
  { session, scratch, options, descents }: Context,
  { tensor, dtype, weights, byteLength }: TensorPlan,
  matrix: number,
  { factor, wanted, held, importances }: Guide,
): Promise<FeedbackResult[]> {
  const place = scratch.placeOf(tensor.name);
  const [rows, columns] = tensor.shape.slice(-2) as [number, number];
  const rowBytes = byteLength / rowCount(tensor);
  const shared = new SharedArrayBuffer(columns * 4);
  new Float32Array(shared).set((options.keepImportances ? weights?.[matrix] : undefined) ?? importances);
  const step = rowsOfFeedback(columns);
  const jobs = Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const firstRow = matrix * rows + i * step;
    return session.pool.run(feedbackJob, {
      ...{ tensor, files: session.files, dtype, firstRow, matrixRow: i * step },
      rows: Math.min(step, rows - i * step),
      ...{ importances: shared, factor, wanted, held, descents },
      output: { ...place, offset: place.offset + firstRow * rowBytes },
    });
  });
  return Promise.all(jobs);
}

/** Reads a rounded tensor back. @throws LlqError `no-space` when it is not what was written */
export async function checkRounded(
  { session, scratch }: Context,
  tensor: TensorPlan,
  results: readonly FeedbackResult[],
): Promise<void> {
  const place = scratch.placeOf(tensor.tensor.name);
  await checkTensor(session.pool, { ...tensor, offset: place.offset }, place, results);
}

export function reportOf(
  { tensor, dtype }: TensorPlan,
  tokens: number,
  columns: number,
  results: readonly FeedbackResult[],
): FeedbackReport {
  const sum = (of: (result: FeedbackResult) => number) =>
    results.reduce((total, each) => total + of(each), 0);
  return {
    ...{ name: tensor.name, dtype, tokens, columns, rows: rowCount(tensor) },
    plainError: sum((each) => each.plainError),
    error: sum((each) => each.error),
    plainRows: sum((each) => each.plainRows),
    squaredError: sum((each) => each.squaredError),
    squaredSum: sum((each) => each.squaredSum),
    maxError: results.reduce((largest, each) => Math.max(largest, each.maxError), 0),
  };
}
