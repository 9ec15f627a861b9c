import type { Kernels } from "../../../kernels/kernels.js";
import type { JobKind } from "../../../run/threads/messages.js";
import type { WorkerPool } from "../../../run/threads/pool.js";
import { floatsOf, loadColumns, type Matrix, roundUp } from "./moments.js";

/** What is done to second moments before they are trusted. */
export interface Damping {
  /** Share of what is beside the diagonal that is taken off: with few tokens it is mostly chance. */
  readonly shrink: number;
  /** Added to the diagonal, as a part of its mean. */
  readonly damp: number;
}

/** Columns in the order in which their errors are fed back, from the last to the first, and the factor. Plain data. */
export interface Factor {
  /** L, below the diagonal and on it, of second moments in that order: L Lᵀ; what is above the diagonal is of those themselves. */
  readonly l: Matrix;
  /** Their diagonal; f32 */
  readonly diagonal: SharedArrayBuffer;
  /** i32 */
  readonly order: SharedArrayBuffer;
}

const TILE = 256;
/** Rows that are put into order together. */
const STRIPE = 64;

/**
 * Makes second moments [columns][columns], of which what is below the diagonal and on it counts, their factor in the same
 * memory. Columns stand by rising diagonal, of equal ones the later first: the sweep goes from the last to the first, as
 * GPTQ's "act-order".
 * @param group columns that stay together, and go by the sum of theirs
 */
export async function factorize(
  pool: WorkerPool,
  moments: Matrix,
  damping: Damping,
  group = 1,
): Promise<Factor> {
  const { columns: n } = moments;
  const diagonal = diagonalOf(moments);
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / n;
  const order = new Int32Array(new SharedArrayBuffer(n * 4));
  order.set(risingOrder(diagonal, group));
  const stripes = Array.from({ length: Math.ceil(n / STRIPE) }, (_, i) => i * STRIPE);
  const common = { moments, order: order.buffer as SharedArrayBuffer, ...damping, mean };
  await Promise.all(stripes.map((row) => pool.run(arrangeJob, { ...common, row, step: "mirror" })));
  permuteRows(moments, order);
  await Promise.all(stripes.map((row) => pool.run(arrangeJob, { ...common, row, step: "columns" })));
  const damped = new Float32Array(new SharedArrayBuffer(n * 4));
  damped.set(Float32Array.from(order, (column) => diagonal[column]! + damping.damp * mean));
  const least = mean * damping.damp * 0.5;
  for (let j = 0; j < n; j += TILE) {
    await pool.run(choleskyJob, { l: moments, i: j, j, least });
    const below = Array.from({ length: Math.ceil(n / TILE) }, (_, i) => i * TILE).filter((i) => i > j);
    await Promise.all(below.map((i) => pool.run(choleskyJob, { l: moments, i, j, least })));
  }
  return {
    ...{ l: moments, diagonal: damped.buffer as SharedArrayBuffer },
    order: order.buffer as SharedArrayBuffer,
  };
}

/** Places of values in groups, those of small sums first, of equal ones the later. */
function risingOrder(values: Float64Array, group: number): Int32Array {
  const sums = Float64Array.from({ length: values.length / group }, (_, i) =>
    values.subarray(i * group, (i + 1) * group).reduce((sum, value) => sum + value, 0),
  );
  const groups = Int32Array.from(sums.keys()).sort((a, b) => sums[a]! - sums[b]! || b - a);
  return Int32Array.from(values, (_, i) => groups[Math.floor(i / group)]! * group + (i % group));
}

export function diagonalOf(moments: Matrix): Float64Array {
  const values = floatsOf(moments);
  return Float64Array.from({ length: moments.columns }, (_, i) => values[i * (moments.columns + 1)]!);
}

/** Row i becomes what row order[i] was, in place. */
function permuteRows(matrix: Matrix, order: Int32Array): void {
  const { columns: n } = matrix;
  const values = floatsOf(matrix);
  const row = (i: number) => values.subarray(i * n, (i + 1) * n);
  const done = new Uint8Array(n);
  for (let start = 0; start < n; start++) {
    if (done[start] === 1) continue;
    const first = row(start).slice();
    let at = start;
    for (;;) {
      done[at] = 1;
      const from = order[at]!;
      if (from === start) break;
      row(at).set(row(from));
      at = from;
    }
    row(at).set(first);
  }
}

/** Work for one thread: some rows of second moments. Plain data. */
export interface ArrangeJob extends Damping {
  readonly moments: Matrix;
  readonly order: SharedArrayBuffer;
  readonly mean: number;
  readonly row: number;
  /** What is below the diagonal goes above it too; or columns into order, shrunk and damped. */
  readonly step: "mirror" | "columns";
}

export const arrangeJob: JobKind<ArrangeJob, undefined> = {
  name: "arrange",
  run: (job) => (job.step === "mirror" ? mirror(job) : arrangeColumns(job)),
  about: ({ row }) => `row ${row}`,
};

function mirror({ moments, row }: ArrangeJob): undefined {
  const { columns: n } = moments;
  const values = floatsOf(moments);
  const end = Math.min(n, row + STRIPE);
  for (let j = 0; j < end; j++) {
    for (let i = Math.max(row, j + 1); i < end; i++) values[j * n + i] = values[i * n + j]!;
  }
  return undefined;
}

function arrangeColumns({ moments, order: buffer, mean, row, shrink, damp }: ArrangeJob): undefined {
  const { columns: n } = moments;
  const values = floatsOf(moments);
  const order = new Int32Array(buffer);
  const before = new Float32Array(n);
  for (let i = row; i < Math.min(n, row + STRIPE); i++) {
    const own = values.subarray(i * n, (i + 1) * n);
    before.set(own);
    for (let j = 0; j < n; j++) own[j] = before[order[j]!]! * (1 - shrink);
    own[i] = before[order[i]!]! + damp * mean;
  }
  return undefined;
}

/** Work for one thread: the tile of the factor at i, j, when those to the left are done. Plain data. */
export interface CholeskyJob {
  readonly l: Matrix;
  readonly i: number;
  readonly j: number;
  /** Pivots are at least that. */
  readonly least: number;
}

export const choleskyJob: JobKind<CholeskyJob, undefined> = {
  name: "cholesky",
  run: factorTile,
  about: ({ i, j }) => `the tile at ${i}, ${j}`,
};

/** A - Σ L[i][k] · L[j][k]ᵀ over the tiles k to the left; then its own factor, or what solves x · L[j][j]ᵀ for it. */
function factorTile({ l, i, j, least }: CholeskyJob, kernels: Kernels): undefined {
  kernels.reset();
  const { columns: n } = l;
  const [rows, columns] = [Math.min(TILE, n - i), Math.min(TILE, n - j)];
  const sums = kernels.reserve(rows * columns * 4);
  kernels.bytes(sums, rows * columns * 4).fill(0);
  const mark = kernels.mark();
  for (let k = 0; k < j; k += TILE) {
    const a = kernels.reserve(rows * TILE * 4);
    const b = kernels.reserve(roundUp(columns, 8) * TILE * 4);
    kernels.call("pack_panels4")(loadColumns(kernels, l, i, rows, k, TILE), TILE * 4, rows, TILE, a);
    kernels.call("pack_panels8")(loadColumns(kernels, l, j, columns, k, TILE), TILE * 4, columns, TILE, b);
    kernels.call("add_panels")(a, TILE * 16, b, TILE * 32, sums, columns * 4, rows, columns, TILE);
    kernels.reset(mark);
  }
  const own = loadColumns(kernels, l, i, rows, j, columns);
  if (i === j) {
    const [values, taken] = [kernels.floats(own, rows * columns), kernels.floats(sums, rows * columns)];
    for (let at = 0; at < values.length; at++) values[at]! -= taken[at]!;
    kernels.call("cholesky_tile")(own, columns * 4, columns, least);
    storeTile(kernels, l, i, j, own, columns, true);
    return undefined;
  }
  solveTile(kernels, l, j, { own, sums, rows, columns });
  storeTile(kernels, l, i, j, own, rows, false);
  return undefined;
}

interface Tile {
  readonly own: number;
  readonly sums: number;
  readonly rows: number;
  readonly columns: number;
}

function solveTile(kernels: Kernels, l: Matrix, j: number, { own, sums, rows, columns }: Tile): void {
  const n = columns;
  const lanes = kernels.reserve(rows * n * 4);
  const triangle = kernels.floats(loadColumns(kernels, l, j, n, j, n), n * n).slice();
  const m = kernels.reserve(n * n * 4);
  const diagonal = kernels.reserve(n * 4);
  const scratch = kernels.reserve(n * 16);
  const turned = kernels.floats(m, n * n);
  const pivots = kernels.floats(diagonal, n);
  for (let b = 0; b < n; b++) {
    pivots[b] = triangle[b * n + b]!;
    for (let c = b + 1; c < n; c++) turned[b * n + c] = triangle[c * n + b]!;
  }
  kernels.call("pack_panels4")(own, n * 4, rows, n, lanes);
  kernels.call("solve_panel")(lanes, sums, n * 4, m, diagonal, 0, n, n, rows / 4, 0, scratch);
  const [from, to] = [kernels.floats(lanes, rows * n), kernels.floats(own, rows * n)];
  for (let r = 0; r < rows; r++) {
    for (let b = 0; b < n; b++) to[r * n + b] = from[((r >> 2) * n + b) * 4 + (r & 3)]!;
  }
}

function storeTile(
  kernels: Kernels,
  l: Matrix,
  i: number,
  j: number,
  tile: number,
  rows: number,
  isTriangle: boolean,
): void {
  const { columns: n } = l;
  const columns = Math.min(TILE, n - j);
  const values = floatsOf(l);
  const from = kernels.floats(tile, rows * columns);
  for (let r = 0; r < rows; r++) {
    const count = isTriangle ? r + 1 : columns;
    values.set(from.subarray(r * columns, r * columns + count), (i + r) * n + j);
  }
}
