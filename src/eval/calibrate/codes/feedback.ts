import type { DTypeName } from "../../../../formats/dtype.js";
import type { Kernels } from "../../../kernels/kernels.js";
import { checkFinite } from "../../../rows/finite.js";
import { type Descriptors, readRowsF32, rowBytes } from "../../../rows/rows.js";
import { aboutRows, type JobKind } from "../../../run/threads/messages.js";
import { checksumOf } from "../../../run/write/checksum.js";
import { writeFully } from "../../../run/write/encode.js";
import { checkOverflow } from "../../../run/write/overflow.js";
import { rowLength, type Tensor } from "../../../tensor.js";
import type { Factor } from "../moments/factor.js";
import { floatsOf, loadColumns, type Matrix } from "../moments/moments.js";
import { gridOf } from "./grids.js";
import { type Held, heldErrors } from "./held.js";
import { descendLanes, openLanes, PANEL, solveInLanes, sweepLanes } from "./lanes.js";

/**
 * What is wanted beside what the matrix W makes of its input x̂, whatever it is rounded to. `input`: W · (x - x̂), of matrices
 * that share the input; `output`: of a matrix that adds to the hidden states, all that those miss.
 */
export interface Wanted {
  readonly of: "input" | "output";
  /** Σ (x - x̂) x̂ᵀ [columns][columns], or Σ missing x̂ᵀ [rows][columns]. */
  readonly moments: Matrix;
  /** Part of it that is made up for. */
  readonly correction: number;
}

/** Work for one thread: codes for some rows of a tensor. Plain data. */
export interface FeedbackJob {
  readonly tensor: Tensor;
  readonly files: Descriptors;
  readonly dtype: DTypeName;
  /** Rows of one matrix. */
  readonly firstRow: number;
  readonly rows: number;
  /** The first of them, counted in its matrix. */
  readonly matrixRow: number;
  /** Importances of the columns, which choose the scales; f32. */
  readonly importances: SharedArrayBuffer;
  /** Undefined, or a type without a grid: rounded as with an importance matrix. */
  readonly factor: Factor | undefined;
  readonly wanted: Wanted | undefined;
  readonly held: Held | undefined;
  /** Times that all columns are gone through again, at most. */
  readonly descents: number;
  readonly output: { readonly fd: number; readonly name: string; readonly offset: number };
}

export interface FeedbackResult {
  readonly byteLength: number;
  readonly checksum: number;
  /** Rows that feedback did not help on the tokens that were kept out. */
  readonly plainRows: number;
  /** Over the rows, Σ (what is wanted - what comes out)² on those tokens: plainly rounded, and as written. */
  readonly plainError: number;
  readonly error: number;
  readonly squaredError: number;
  readonly squaredSum: number;
  readonly maxError: number;
}

export const feedbackJob: JobKind<FeedbackJob, FeedbackResult> = {
  name: "feedback",
  run: roundRows,
  about: ({ tensor, dtype, firstRow, rows }) => `${aboutRows(tensor, firstRow, rows)} to ${dtype}`,
};

/** Floats in a job, about. */
const JOB_FLOATS = 1 << 21;
const MAX_ROWS = 256;

/** Rows of a job. Fixed, so that nothing depends on the threads. */
export function rowsOfFeedback(columns: number): number {
  return Math.max(4, Math.min(MAX_ROWS, Math.floor(JOB_FLOATS / columns / 4) * 4));
}

/** Rows at hand: as floats [rows][n], with a place for as many in lanes. */
interface Rows {
  readonly kernels: Kernels;
  readonly job: FeedbackJob;
  readonly n: number;
  readonly rows: number;
  readonly groups: number;
  /** The weights. */
  readonly w: number;
  readonly importances: number;
}

/** @throws LlqError `bad-input` for a weight that is no finite number or becomes none, `no-space` when the disk is full */
function roundRows(job: FeedbackJob, kernels: Kernels): FeedbackResult {
  kernels.reset();
  const { tensor, dtype, rows, factor, held, output } = job;
  const n = rowLength(tensor);
  const groups = Math.ceil(rows / 4);
  const importances = kernels.reserve(n * 4);
  kernels.floats(importances, n).set(new Float32Array(job.importances));
  const w = kernels.reserve(groups * 4 * n * 4);
  kernels.bytes(w, groups * 16 * n).fill(0);
  readRowsF32(kernels, job.files, tensor, job.firstRow, rows, w);
  checkFinite(kernels, tensor, w, rows * n, job.firstRow);
  const at: Rows = { kernels, job, n, rows, groups, w, importances };
  const size = rowBytes(tensor, dtype);
  const plain = kernels.reserve(rows * size);
  quantizeRows(at, w, plain);
  let errors: { plain: Float64Array; own: Float64Array } | undefined;
  let plainRows = rows;
  if (factor !== undefined && gridOf(dtype) !== undefined) {
    const own = kernels.reserve(rows * size);
    feedBack(at, factor, own);
    if (held !== undefined) {
      const [ofPlain, ofOwn] = heldErrors(kernels, at, held, [plain, own]);
      errors = { plain: ofPlain!, own: ofOwn! };
    }
    for (let row = 0; row < rows; row++) {
      if (errors !== undefined && !(errors.own[row]! < errors.plain[row]!)) continue;
      kernels.bytes(plain + row * size, size).set(kernels.bytes(own + row * size, size));
      plainRows--;
    }
  }
  const checksum = checksumOf(kernels, plain, rows * size);
  writeFully(output, kernels.bytes(plain, rows * size));
  const sum = (of: (row: number) => number) => {
    let total = 0;
    for (let row = 0; row < rows; row++) total += of(row);
    return total;
  };
  return {
    ...{ byteLength: rows * size, checksum, plainRows },
    plainError: errors === undefined ? 0 : sum((row) => errors.plain[row]!),
    error: errors === undefined ? 0 : sum((row) => Math.min(errors.own[row]!, errors.plain[row]!)),
    ...deviation(at, plain),
  };
}

function quantizeRows({ kernels, job, n, rows, importances }: Rows, from: number, to: number): void {
  const size = rowBytes(job.tensor, job.dtype);
  for (let row = 0; row < rows; row++) {
    kernels.fromF32(job.dtype, from + row * n * 4, to + row * size, n, importances);
  }
}

/** The rows' codes with feedback, on the scales that the search chooses for their targets; whole rows at `to`. */
function feedBack(at: Rows, factor: Factor, to: number): void {
  const { kernels, job, n, rows, groups, w } = at;
  const start = kernels.mark();
  const { kernel, grid, size } = { ...kernelOf(job.dtype), size: rowBytes(job.tensor, job.dtype) };
  const room = () => kernels.reserve(groups * 16 * n);
  const order = kernels.reserve(n * 4);
  kernels.bytes(order, n * 4).set(new Uint8Array(factor.order));
  const lanes = openLanes(kernels, factor, groups);
  const target = { w: room(), s: room(), o: room(), e: room(), q: kernels.reserve(groups * 4 * n) };
  const natural = room();
  kernels.call("gather_lanes")(w, rows, n, order, target.w);
  if (job.wanted !== undefined) {
    wantedRows(at, job.wanted, natural);
    kernels.call("gather_lanes")(natural, rows, n, order, target.e);
    solveInLanes(lanes, target.e);
    kernels.call("add_scaled")(target.e, job.wanted.correction, target.w, groups * 4 * n);
  }
  kernels.call("scatter_lanes")(target.w, rows, n, order, natural);
  quantizeRows(at, natural, to);
  const mark = kernels.mark();
  const [s, o] = [kernels.reserve(4 * n * 4), kernels.reserve(4 * n * 4)];
  for (let row = 0; row < rows; row += 4) {
    const count = Math.min(4, rows - row);
    for (let i = 0; i < count; i++) {
      kernels.call(`grid_row_${kernel}`)(to + (row + i) * size, s + i * n * 4, o + i * n * 4, n);
    }
    kernels.call("gather_lanes")(s, count, n, order, target.s + row * n * 4);
    kernels.call("gather_lanes")(o, count, n, order, target.o + row * n * 4);
  }
  kernels.reset(mark);
  sweepLanes(lanes, target, grid);
  for (let i = 0; i < job.descents && descendLanes(lanes, target, grid); i++);
  const codes = natural;
  kernels.call("scatter_bytes")(target.q, rows, n, order, codes);
  for (let row = 0; row < rows; row++)
    kernels.call(`codes_row_${kernel}`)(codes + row * n, to + row * size, n);
  kernels.reset(start);
}

function kernelOf(type: DTypeName) {
  return { kernel: type.toLowerCase(), grid: gridOf(type)! };
}

/** Σ (what is wanted beside W · x̂) · x̂ᵀ of the rows, [rows][n]. */
function wantedRows({ kernels, job, n, rows, groups, w }: Rows, { of, moments }: Wanted, to: number): void {
  if (of === "output") {
    const from = job.matrixRow * n;
    kernels.floats(to, rows * n).set(floatsOf(moments).subarray(from, from + rows * n));
    return;
  }
  const mark = kernels.mark();
  const packed = kernels.reserve(groups * 16 * n);
  kernels.call("pack_panels4")(w, n * 4, rows, n, packed);
  const inner = kernels.mark();
  for (let first = 0; first < n; first += PANEL) {
    const columns = Math.min(PANEL, n - first);
    const right = kernels.reserve(n * columns * 4);
    const raw = loadColumns(kernels, moments, 0, n, first, columns);
    kernels.call("pack_columns8")(raw, columns * 4, n, columns, right);
    const y = kernels.reserve(groups * 16 * columns);
    kernels.bytes(y, groups * 16 * columns).fill(0);
    kernels.call("add_panels")(packed, n * 16, right, n * 32, y, columns * 4, groups * 4, columns, n);
    kernels.call("copy_columns")(y, columns * 4, to + first * 4, n * 4, rows, columns);
    kernels.reset(inner);
  }
  kernels.reset(mark);
}

/** How far what is stored is from the weights. @throws LlqError `bad-input` for what reads back as no number */
function deviation(
  { kernels, job, n, rows, w }: Rows,
  stored: number,
): Pick<FeedbackResult, "squaredError" | "squaredSum" | "maxError"> {
  const back = kernels.reserve(rows * n * 4);
  const stats = kernels.reserve(24);
  kernels.bytes(stats, 24).fill(0);
  kernels.toF32(job.dtype, stored, back, rows * n);
  kernels.call("error_stats")(w, back, rows * n, stats);
  const sums = new DataView(kernels.memory.buffer, stats, 24);
  if (!Number.isFinite(sums.getFloat64(0, true))) {
    const { tensor, dtype, firstRow } = job;
    checkOverflow(kernels, tensor, dtype, { x: w, back, firstRow, rows, length: n });
  }
  return {
    squaredError: sums.getFloat64(0, true),
    squaredSum: sums.getFloat64(8, true),
    maxError: sums.getFloat32(16, true),
  };
}
