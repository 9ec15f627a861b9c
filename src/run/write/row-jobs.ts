import { rowCount, rowLength } from "../../tensor.js";

/** Weights in a job. Fixed, so that sums over jobs do not depend on the number of threads. */
const JOB_ELEMENTS = 1 << 20;

type Shaped = { readonly shape: readonly number[] };

/** Rows in a job; the last of a tensor may have fewer. */
export function rowsOfJob(tensor: Shaped): number {
  return Math.max(1, Math.floor(JOB_ELEMENTS / rowLength(tensor)));
}

/** The tensor's rows, cut for jobs. */
export function cutRows(tensor: Shaped): { firstRow: number; rows: number }[] {
  const rows = rowCount(tensor);
  const step = rowsOfJob(tensor);
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({
    firstRow: i * step,
    rows: Math.min(step, rows - i * step),
  }));
}
