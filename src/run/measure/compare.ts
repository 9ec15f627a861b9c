import { compareBytes } from "#host/bytes";
import { dtype } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import { checkFinite } from "../../rows/finite.js";
import { storedRegions } from "../../rows/regions.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes } from "../../rows/rows.js";
import { rowLength, type Tensor } from "../../tensor.js";
import { aboutRows, type JobKind } from "../threads/messages.js";

/** Work for one thread: compare rows of a written tensor with those it was made from. Plain data. */
export interface CompareJob {
  readonly written: Tensor;
  readonly writtenFiles: Descriptors;
  readonly source: Tensor;
  readonly sourceFiles: Descriptors;
  readonly firstRow: number;
  readonly rows: number;
}

export interface CompareResult {
  /** Rows whose bytes are what quantizing the source afresh gives. */
  readonly identicalRows: number;
  /** Σ(w - ŵ)² of the written rows, and of rows quantized afresh. */
  readonly squaredError: number;
  readonly freshSquaredError: number;
  /** Σw² of the source. */
  readonly squaredSum: number;
  /** Written weights that are infinite or NaN. */
  readonly nonFinite: number;
  /** Every written weight is zero. */
  readonly allZero: boolean;
}

/** @throws LlqError `bad-input` when a file ends early, or the source has weights that are no finite numbers */
export function compare(job: CompareJob, kernels: Kernels): CompareResult {
  kernels.reset();
  const { written, source, rows } = job;
  if (written.shape.join() !== source.shape.join()) throw badInput(t`tensor ${written.name}: shapes differ`);
  const n = rows * rowLength(written);
  const bytes = rowBytes(written, written.dtype);
  const stored = kernels.reserve(rows * bytes);
  const fresh = kernels.reserve(rows * bytes);
  const w = kernels.reserve(n * 4);
  const back = kernels.reserve(n * 4);
  const [stats, freshStats] = [kernels.reserve(24), kernels.reserve(24)];
  for (const sums of [stats, freshStats]) kernels.bytes(sums, 24).fill(0);

  readRowsF32(kernels, job.sourceFiles, source, job.firstRow, rows, w);
  checkFinite(kernels, source, w, n, job.firstRow);
  readStoredRows(kernels, job.writtenFiles, written, job.firstRow, rows, stored);
  // a type that nothing is rounded to holds exactly what it was made from
  const isRounded = dtype(written.dtype).kernels !== "read";
  if (isRounded) {
    kernels.fromF32(written.dtype, w, fresh, n);
    kernels.toF32(written.dtype, fresh, back, n);
    kernels.call("error_stats")(w, back, n, freshStats);
  }
  kernels.toF32(written.dtype, stored, back, n);
  kernels.call("error_stats")(w, back, n, stats);

  const view = new DataView(kernels.memory.buffer);
  const values = kernels.floats(back, n);
  const [ours, theirs, pitch] = isRounded ? [stored, fresh, bytes] : [w, back, rowLength(written) * 4];
  return {
    identicalRows: countEqualRows(
      kernels.bytes(ours, rows * pitch),
      kernels.bytes(theirs, rows * pitch),
      pitch,
    ),
    squaredError: view.getFloat64(stats, true),
    freshSquaredError: view.getFloat64(freshStats, true),
    squaredSum: view.getFloat64(stats + 8, true),
    nonFinite:
      kernels.call("first_nonfinite")(back, n) < 0 ? 0 : values.filter((x) => !Number.isFinite(x)).length,
    allZero: values.every((x) => x === 0),
  };
}

export const compareJob: JobKind<CompareJob, CompareResult> = {
  name: "compare",
  run: compare,
  reads: ({ written, writtenFiles, source, sourceFiles, firstRow, rows }) => [
    ...storedRegions(writtenFiles, written, firstRow, rows),
    ...storedRegions(sourceFiles, source, firstRow, rows),
  ],
  about: ({ written, firstRow, rows }) => `${aboutRows(written, firstRow, rows)} in ${written.dtype}`,
};

function countEqualRows(a: Uint8Array, b: Uint8Array, rowBytes: number): number {
  let equal = 0;
  for (let at = 0; at < a.length; at += rowBytes) {
    if (compareBytes(a.subarray(at, at + rowBytes), b.subarray(at, at + rowBytes)) === 0) equal++;
  }
  return equal;
}
