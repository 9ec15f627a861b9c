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
/** Tokens that are added up before they are added to a tile, as many as assembly/gemm takes at once (KC). */
const STEPS = 256;
/** Rows of a tile on the diagonal that are worked on together. */
const STRIP = 64;

/** Work for one thread: a tile of sums[i][j] += Σ over the tokens of a[token][i] · b[token][j]. Plain data. */
export interface MomentsJob {
  readonly a: Matrix;
  readonly b: Matrix;
  readonly tokens: number;
  readonly sums: Matrix;
  /** `a` is `b`: what is above the diagonal does not count. */
  readonly isSymmetric: boolean;
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
  const isSymmetric = a === b;
  for (let i = 0; i < a.columns; i += TILE) {
    const end = isSymmetric ? i + 1 : b.columns;
    for (let j = 0; j < end; j += TILE) {
      const size = { rows: Math.min(TILE, a.columns - i), columns: Math.min(TILE, b.columns - j) };
      jobs.push(pool.run(momentsJob, { a, b, tokens, sums, isSymmetric, i, j, ...size }));
    }
  }
  await Promise.all(jobs);
}

function addTile(job: MomentsJob, kernels: Kernels): undefined {
  kernels.reset();
  const { a, b, tokens, sums, i, rows, j, columns } = job;
  const [height, width] = [roundUp(rows, 4), roundUp(columns, 8)];
  const y = kernels.reserve(height * width * 4);
  const to = floatsOf(sums);
  const own = kernels.floats(y, height * width).fill(0);
  for (let r = 0; r < rows; r++) {
    const at = (i + r) * sums.columns + j;
    own.set(to.subarray(at, at + columns), r * width);
  }
  const mark = kernels.mark();
  for (let first = 0; first < tokens; first += STEPS) {
    const k = Math.min(STEPS, tokens - first);
    const left = kernels.reserve(height * k * 4);
    const x = loadColumns(kernels, a, first, k, i, rows, height);
    kernels.call("pack_columns4")(x, height * 4, k, height, left);
    const right = kernels.reserve(width * k * 4);
    const w = loadColumns(kernels, b, first, k, j, columns, width);
    kernels.call("pack_columns8")(w, width * 4, k, width, right);
    for (const [row, count, across] of stripsOf(job, height, width)) {
      const [from, at] = [left + row * k * 4, y + row * width * 4];
      kernels.call("add_panels")(from, k * 16, right, k * 32, at, width * 4, count, across, k);
    }
    kernels.reset(mark);
  }
  const made = kernels.floats(y, height * width);
  for (let r = 0; r < rows; r++) {
    to.set(made.subarray(r * width, r * width + columns), (i + r) * sums.columns + j);
  }
  return undefined;
}

/** What is worked on together of a tile: rows, and how far across. Of symmetric sums no more than the diagonal asks for. */
function stripsOf(
  { isSymmetric, i, j }: MomentsJob,
  height: number,
  width: number,
): (readonly [row: number, rows: number, columns: number])[] {
  if (!isSymmetric || i !== j) return [[0, height, width]];
  return Array.from({ length: Math.ceil(height / STRIP) }, (_, n) => {
    const row = n * STRIP;
    return [row, Math.min(STRIP, height - row), Math.min(width, row + STRIP)];
  });
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
