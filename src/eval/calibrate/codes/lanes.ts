import type { Kernels } from "../../../kernels/kernels.js";
import type { Factor } from "../moments/factor.js";
import { floatsOf } from "../moments/moments.js";

// Work on rows of a matrix that stand side by side in lanes, [groups of 4 rows][columns][4], in the order of a factor.

/** Columns that are done together. */
export const PANEL = 64;

/** Rows in lanes, and what they are worked on with. Addresses are of kernel memory. */
export interface Lanes {
  readonly kernels: Kernels;
  readonly l: Float32Array;
  /** Of the second moments. */
  readonly diagonal: Float32Array;
  readonly n: number;
  readonly groups: number;
  /** [4 groups][PANEL] */
  readonly sums: number;
  /** PANEL × 16 bytes. */
  readonly scratch: number;
}

export function openLanes(kernels: Kernels, { l, diagonal }: Factor, groups: number): Lanes {
  const sums = kernels.reserve(groups * 4 * PANEL * 4);
  return {
    ...{ kernels, l: floatsOf(l), diagonal: new Float32Array(diagonal), n: l.columns, groups, sums },
    scratch: kernels.reserve(PANEL * 16),
  };
}

/** Solves x · Lᵀ = x₀, then x · L = that, in place: x₀ times the inverse of the second moments. */
export function solveInLanes(lanes: Lanes, x: number): void {
  const { kernels, l, n, groups, sums, scratch } = lanes;
  const mark = kernels.mark();
  for (const backward of [false, true]) {
    for (const first of panelsOf(n, backward)) {
      const columns = Math.min(PANEL, n - first);
      if (backward) multiplyAfter(lanes, x, first, columns);
      else multiplyBefore(lanes, x, first, columns);
      const [m, diagonal] = [kernels.reserve(columns * columns * 4), kernels.reserve(columns * 4)];
      const [taken, pivots] = [kernels.floats(m, columns * columns), kernels.floats(diagonal, columns)];
      for (let b = 0; b < columns; b++) {
        const row = (first + b) * n + first;
        pivots[b] = l[row + b]!;
        for (let c = 0; c < b; c++) taken[backward ? b * columns + c : c * columns + b] = l[row + c]!;
      }
      kernels.call("solve_panel")(
        ...([
          x,
          sums,
          columns * 4,
          m,
          diagonal,
          first,
          columns,
          n,
          groups,
          backward ? 1 : 0,
          scratch,
        ] as const),
      );
      kernels.reset(mark);
    }
  }
}

/** Where the rows' targets, grids, errors and codes are, all in lanes. */
export interface Swept {
  readonly w: number;
  readonly s: number;
  readonly o: number;
  readonly e: number;
  readonly q: number;
}

/** Rounds all columns, from the last to the first, each of which makes up for those before. */
export function sweepLanes(
  lanes: Lanes,
  { w, s, o, e, q }: Swept,
  { sweep, lo, hi }: { readonly sweep: string; readonly lo: number; readonly hi: number },
): void {
  const { kernels, l, n, groups, sums, scratch } = lanes;
  const mark = kernels.mark();
  for (const first of panelsOf(n, true)) {
    const columns = Math.min(PANEL, n - first);
    multiplyAfter(lanes, e, first, columns, true);
    const m = kernels.reserve(columns * columns * 4);
    const fed = kernels.floats(m, columns * columns);
    for (let b = 0; b < columns; b++) {
      for (let c = 0; c < b; c++) {
        fed[b * columns + c] = l[(first + b) * n + first + c]! / l[(first + c) * (n + 1)]!;
      }
      fed[b * columns + b] = l[(first + b) * (n + 1)]! ** 2;
    }
    kernels.call(sweep)(
      ...([w, s, o, e, q, sums, columns * 4, m, first, columns, n, groups, scratch, lo, hi] as const),
    );
    kernels.reset(mark);
  }
}

/** Goes through all columns once more, each at its best beside the others. Returns whether any code has changed. */
export function descendLanes(
  lanes: Lanes,
  { w, s, o, e, q }: Swept,
  { descent, lo, hi }: { readonly descent: string; readonly lo: number; readonly hi: number },
): boolean {
  const { kernels, l, diagonal, n, groups, sums, scratch } = lanes;
  const mark = kernels.mark();
  let isChanged = false;
  for (const first of panelsOf(n, true)) {
    const columns = Math.min(PANEL, n - first);
    const h = kernels.reserve(columns * columns * 4);
    const moments = kernels.floats(h, columns * columns);
    for (let b = 0; b < columns; b++) {
      moments[b * columns + b] = diagonal[first + b]!;
      for (let c = 0; c < b; c++) {
        const value = l[(first + c) * n + first + b]!;
        moments[b * columns + c] = value;
        moments[c * columns + b] = value;
      }
    }
    multiplyMoments(lanes, e, first, columns, h);
    const changed = kernels.call(descent)(
      ...([w, s, o, e, q, sums, columns * 4, h, first, columns, n, groups, scratch, lo, hi] as const),
    );
    isChanged ||= changed !== 0;
    kernels.reset(mark);
  }
  return isChanged;
}

/** sums = x · the second moments, of the panel, whose own are `h` [columns][columns]. */
function multiplyMoments(lanes: Lanes, x: number, first: number, columns: number, h: number): void {
  const { kernels, l, n, groups, sums } = lanes;
  const mark = kernels.mark();
  kernels.bytes(sums, groups * 4 * columns * 4).fill(0);
  const add = (from: number, k: number, panels: number) => {
    kernels.call("add_panels")(
      ...([x + from * 16, n * 16, panels, k * 32, sums, columns * 4, groups * 4, columns, k] as const),
    );
    kernels.reset(mark);
  };
  const beside = (k: number) => {
    const raw = kernels.reserve(columns * k * 4);
    return { raw, packed: kernels.reserve(columns * k * 4), rows: kernels.floats(raw, columns * k) };
  };
  if (first > 0) {
    const { raw, packed, rows } = beside(first);
    for (let i = 0; i < first; i++) {
      rows.set(l.subarray(i * n + first, i * n + first + columns), i * columns);
    }
    kernels.call("pack_columns8")(raw, columns * 4, first, columns, packed);
    add(0, first, packed);
  }
  const own = kernels.reserve(columns * columns * 4);
  kernels.call("pack_columns8")(h, columns * 4, columns, columns, own);
  add(first, columns, own);
  const end = first + columns;
  if (end < n) {
    const { raw, packed, rows } = beside(n - end);
    for (let c = 0; c < columns; c++) {
      const at = (first + c) * n;
      rows.set(l.subarray(at + end, at + n), c * (n - end));
    }
    kernels.call("pack_panels8")(raw, (n - end) * 4, columns, n - end, packed);
    add(end, n - end, packed);
  }
}

function panelsOf(n: number, backward: boolean): number[] {
  const firsts = Array.from({ length: Math.ceil(n / PANEL) }, (_, i) => i * PANEL);
  return backward ? firsts.reverse() : firsts;
}

/** sums = x · L of the columns behind the panel, for its own; each divided by its pivot, if they are to be. */
function multiplyAfter(
  { kernels, l, n, groups, sums }: Lanes,
  x: number,
  first: number,
  columns: number,
  byPivots = false,
): void {
  const mark = kernels.mark();
  kernels.bytes(sums, groups * 4 * columns * 4).fill(0);
  const begin = first + columns;
  const k = n - begin;
  if (k === 0) return;
  const raw = kernels.reserve(k * columns * 4);
  const packed = kernels.reserve(k * columns * 4);
  const rows = kernels.floats(raw, k * columns);
  for (let i = 0; i < k; i++) {
    const at = (begin + i) * n + first;
    rows.set(l.subarray(at, at + columns), i * columns);
  }
  kernels.call("pack_columns8")(raw, columns * 4, k, columns, packed);
  const [rowsOfX, stride] = [groups * 4, n * 16];
  kernels.call("add_panels")(
    ...([x + begin * 16, stride, packed, k * 32, sums, columns * 4, rowsOfX, columns, k] as const),
  );
  if (byPivots) {
    const all = kernels.floats(sums, rowsOfX * columns);
    const pivots = Float32Array.from({ length: columns }, (_, c) => l[(first + c) * (n + 1)]!);
    for (let i = 0; i < all.length; i++) all[i]! /= pivots[i % columns]!;
  }
  kernels.reset(mark);
}

/** sums = x · Lᵀ of the columns before the panel, for its own. */
function multiplyBefore(
  { kernels, l, n, groups, sums }: Lanes,
  x: number,
  first: number,
  columns: number,
): void {
  const mark = kernels.mark();
  kernels.bytes(sums, groups * 4 * columns * 4).fill(0);
  if (first === 0) return;
  const raw = kernels.reserve(columns * first * 4);
  const packed = kernels.reserve(columns * first * 4);
  const rows = kernels.floats(raw, columns * first);
  for (let c = 0; c < columns; c++) {
    const at = (first + c) * n;
    rows.set(l.subarray(at, at + first), c * first);
  }
  kernels.call("pack_panels8")(raw, first * 4, columns, first, packed);
  kernels.call("add_panels")(
    ...([x, n * 16, packed, first * 32, sums, columns * 4, groups * 4, columns, first] as const),
  );
  kernels.reset(mark);
}
