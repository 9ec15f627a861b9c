import type { Kernels } from "../../../kernels/kernels.js";
import type { JobKind } from "../../../run/threads/messages.js";
import type { WorkerPool } from "../../../run/threads/pool.js";

/** Rows of f32 in shared memory. Plain data. */
export interface Matrix {
  readonly buffer: SharedArrayBuffer;
  readonly columns: number;
  /** The first row, in floats from the start of the buffer. Default: 0. */
  readonly start?: number;
}

/** Columns of a tile, and rows. */
export const TILE = 512;

/** Work for one thread: a tile of sums[i][j] += Σ over the tokens of a[token][i] · b[token][j]. Plain data. */
export interface MomentsJob {
  readonly a: Matrix;
  readonly b: Matrix;
  readonly tokens: number;
  readonly sums: Matrix;
  readonly i: number;
  readonly rows: number;
  readonly j: number;
  readonly columns: number;
}

export const momentsJob: JobKind<MomentsJob, undefined> = {
  name: "moments",
  run: addTile,
  about: ({ i, j }) => `the tile at ${i}, ${j}`,
};

/**
 * Adds aᵀ · b of so many tokens to sums: all of it, or, of a matrix with itself, what is on the diagonal's tiles and below.
 * Each tile has one owner and its tokens come in their order, so the sums do not depend on who works when.
 */
export async function addMoments(
  pool: WorkerPool,
  a: Matrix,
  b: Matrix,
  tokens: number,
  sums: Matrix,
): Promise<void> {
  if (tokens === 0) return;
  const jobs: Promise<undefined>[] = [];
  for (let i = 0; i < a.columns; i += TILE) {
    const end = a === b ? i + 1 : b.columns;
    for (let j = 0; j < end; j += TILE) {
      const size = { rows: Math.min(TILE, a.columns - i), columns: Math.min(TILE, b.columns - j) };
      jobs.push(pool.run(momentsJob, { a, b, tokens, sums, i, j, ...size }));
    }
  }
  await Promise.all(jobs);
}

function addTile({ a, b, tokens, sums, i, rows, j, columns }: MomentsJob, kernels: Kernels): undefined {
  kernels.reset();
  const [height, width] = [roundUp(rows, 4), roundUp(columns, 8)];
  const y = kernels.reserve(height * width * 4);
  const left = kernels.reserve(height * tokens * 4);
  const right = kernels.reserve(width * tokens * 4);
  const mark = kernels.mark();
  const x = loadColumns(kernels, a, 0, tokens, i, rows, height);
  kernels.call("pack_columns4")(x, height * 4, tokens, height, left);
  kernels.reset(mark);
  const w = loadColumns(kernels, b, 0, tokens, j, columns, width);
  kernels.call("pack_columns8")(w, width * 4, tokens, width, right);
  kernels.reset(mark);
  const to = floatsOf(sums);
  const memory = kernels.floats(y, height * width);
  memory.fill(0);
  for (let r = 0; r < rows; r++) {
    const at = (i + r) * sums.columns + j;
    memory.set(to.subarray(at, at + columns), r * width);
  }
  kernels.call("add_panels")(left, tokens * 16, right, tokens * 32, y, width * 4, height, width, tokens);
  for (let r = 0; r < rows; r++)
    to.set(memory.subarray(r * width, r * width + columns), (i + r) * sums.columns + j);
  return undefined;
}

/** Columns of some rows at a fresh address, [rows][width] with zeros behind them. */
export function loadColumns(
  kernels: Kernels,
  matrix: Matrix,
  firstRow: number,
  rows: number,
  column: number,
  columns: number,
  width = columns,
): number {
  const address = kernels.reserve(rows * width * 4);
  const from = floatsOf(matrix);
  const to = kernels.floats(address, rows * width);
  if (width !== columns) to.fill(0);
  for (let r = 0; r < rows; r++) {
    const at = (firstRow + r) * matrix.columns + column;
    to.set(from.subarray(at, at + columns), r * width);
  }
  return address;
}

export function floatsOf({ buffer, start = 0 }: Matrix): Float32Array {
  return new Float32Array(buffer, start * 4);
}

export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}
