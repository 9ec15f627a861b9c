import type { TensorSource } from "../formats/container.js";
import type { DTypeName } from "../formats/dtype.js";
import type { Role } from "./role.js";

/**
 * How a tensor differs from the rows stored for it. Plain data, so that a plan can be sent to a thread.
 * `permuteRope`: rows of each of `heads` heads go from halves (Hugging Face) to neighbours (GGUF "llama"); of a head,
 * `turned` rows only where RoPE turns no more, behind `before` others.
 */
export interface Transform {
  readonly kind: "permuteRope";
  readonly heads: number;
  readonly turned?: number;
  readonly before?: number;
}

/**
 * What is done with the f32 values of rows after they are read. Plain data; src/rows/steps.ts does it.
 * `add`: w + value. `negExp`: -e^w. `normalizeRows`: each row through its length, √Σw². `tileColumns`: of a row of `groups`
 * groups, each of `each` pieces, first come the first pieces of all groups. `scale`: w × a × b ..., rounded each time.
 * `scaleRows`: the same of runs of rows, from the first to the last, each by its own number. `normalizeColumns`: each column
 * through its length, which is measured when first asked for (src/arch/checkpoint/column-lengths.ts).
 */
export type ValueStep =
  | { readonly kind: "add"; readonly value: number }
  | { readonly kind: "negExp" }
  | { readonly kind: "scale"; readonly by: readonly number[] }
  | { readonly kind: "scaleRows"; readonly runs: readonly ScaledRun[] }
  | { readonly kind: "tileColumns"; readonly groups: number; readonly each: number }
  | { readonly kind: "normalizeRows" }
  | { readonly kind: "normalizeColumns"; readonly lengths: readonly number[] };

export interface ScaledRun {
  readonly count: number;
  readonly by: number;
}

/** Rows `first` to `first + count` of one of a tensor's sources; those beyond its last are 0. */
export interface RowRange {
  readonly source: number;
  readonly first: number;
  readonly count: number;
}

/** A tensor of the model as GGUF has it: which stored rows, changed how. Plain data. */
export interface Tensor {
  /** Its GGUF name, such as `blk.3.attn_q.weight`. */
  readonly name: string;
  readonly role: Role;
  /** The block it belongs to; undefined for the embeddings, the last norm and the output. */
  readonly layer: number | undefined;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** The type its sources are stored in. */
  readonly dtype: DTypeName;
  /** Where it is stored; none for a computed tensor. */
  readonly sources: readonly TensorSource[];
  /** Sources stand below each other, or side by side: then each row is a piece of every source. */
  readonly joined: "rows" | "columns";
  /** Which rows of the sources make up the tensor, in order; undefined: all of them. Elements, for a vector. */
  readonly ranges: readonly RowRange[] | undefined;
  readonly transforms: readonly Transform[];
  /** In order, on values whose rows are in place; a tensor with steps is neither copied nor multiplied as stored. */
  readonly steps: readonly ValueStep[];
  /** A small tensor that no file holds, such as RoPE divisors; F32. */
  readonly values: readonly number[] | undefined;
}

/** The parts of a tensor that are one whole stored tensor, unchanged. */
export function storedWhole(source: TensorSource) {
  return {
    dtype: source.dtype,
    sources: [source],
    joined: "rows" as const,
    ranges: undefined,
    transforms: [],
    steps: [],
    values: undefined,
  };
}

/** Whether the tensor's values are those of stored rows, in whatever order: then their bytes can serve as they are. */
export function keepsStoredValues({ values, steps }: Pick<Tensor, "values" | "steps">): boolean {
  return values === undefined && steps.length === 0;
}

/** Length of the innermost dimension. */
export function rowLength(tensor: { readonly shape: readonly number[] }): number {
  return tensor.shape.at(-1) ?? 1;
}

/** Number of rows. */
export function rowCount(tensor: { readonly shape: readonly number[] }): number {
  return tensor.shape.slice(0, -1).reduce((product, length) => product * length, 1);
}

/** Which of the stacked matrices (experts) row `row` belongs to; 0 in a tensor of one matrix. */
export function matrixOf(tensor: { readonly shape: readonly number[] }, row: number): number {
  return Math.floor(row / (tensor.shape.at(-2) ?? 1));
}

/**
 * Rows `first` to `first + count` as a tensor of their own (elements, of a vector), of that shape if it is not just
 * fewer rows: a part of a fused matrix, or one of stacked ones. It keeps the name and the role.
 */
export function sliceRows(tensor: Tensor, first: number, count: number, shape?: readonly number[]): Tensor {
  return takeRows(tensor, [[first, count]], shape);
}

/** The same of several runs of rows, in the order given. */
export function takeRows(
  tensor: Tensor,
  runs: readonly (readonly [first: number, count: number])[],
  shape?: readonly number[],
): Tensor {
  const whole = tensor.ranges ?? wholeSources(tensor);
  const ranges = runs.flatMap(([first, count]) => rangesOf(whole, first, count));
  // A part of many experts needs to know of its own file places only.
  const used = [...new Set(ranges.map(({ source }) => source))];
  const rows = runs.reduce((sum, [, count]) => sum + count, 0);
  return {
    ...tensor,
    shape: shape ?? [rows, ...tensor.shape.slice(1)],
    sources: used.map((source) => tensor.sources[source]!),
    ranges: ranges.map((range) => ({ ...range, source: used.indexOf(range.source) })),
    steps: tensor.steps.map((step) =>
      step.kind === "scaleRows" ? { ...step, runs: runs.flatMap((run) => runsOf(step.runs, run)) } : step,
    ),
  };
}

/** What is said of `count` rows from `first` on. */
function runsOf(whole: readonly ScaledRun[], [first, count]: readonly [number, number]): ScaledRun[] {
  let before = 0;
  return whole.flatMap((run) => {
    const from = Math.max(first, before);
    before += run.count;
    const to = Math.min(first + count, before);
    return from < to ? [{ ...run, count: to - from }] : [];
  });
}

function rangesOf(whole: readonly RowRange[], first: number, count: number): RowRange[] {
  const ranges: RowRange[] = [];
  let before = 0;
  for (const range of whole) {
    const from = Math.max(first, before);
    const to = Math.min(first + count, before + range.count);
    if (from < to) ranges.push({ ...range, first: range.first + from - before, count: to - from });
    before += range.count;
  }
  return ranges;
}

/** A matrix row after row, as a vector. */
export function asVector(tensor: Tensor): Tensor {
  const columns = rowLength(tensor);
  const sources = tensor.sources.map((source) => ({ ...source, shape: [rowCount(source) * columns] }));
  const ranges = tensor.ranges?.map(({ source, first, count }) => ({
    ...{ source, first: first * columns, count: count * columns },
  }));
  return { ...tensor, shape: [rowCount(tensor) * columns], sources, ranges };
}

/** Whether the tensor's bytes are those of its one source, in the same order. */
export function isStoredAsIs({ sources, ranges, transforms }: Tensor): boolean {
  return (
    sources.length === 1 &&
    sources[0]!.strides === undefined &&
    ranges === undefined &&
    transforms.length === 0
  );
}

/**
 * The source, and the row in it, of row `row` of a tensor whose sources stand below each other; of element
 * `row`, for a vector.
 */
export function locateRow(tensor: Tensor, row: number): { source: number; row: number } {
  const rows = tensor.shape.length === 1 ? rowLength(tensor) : rowCount(tensor);
  let index = tensor.transforms.reduceRight((at, transform) => rowBefore(transform, rows, at), row);
  for (const { source, first, count } of tensor.ranges ?? wholeSources(tensor)) {
    if (index < count) return { source, row: first + index };
    index -= count;
  }
  throw new RangeError(`${tensor.name} has no row ${row}`);
}

/**
 * The row that a transform makes row `row` of `rows`.
 * `permuteRope`: within the d rows of a head that are turned, stored j and j + d/2 become neighbours 2j and 2j + 1.
 */
function rowBefore({ heads, turned, before = 0 }: Transform, rows: number, row: number): number {
  const headRows = rows / heads;
  const d = turned ?? headRows;
  const j = (row % headRows) - before;
  return j >= 0 && j < d ? row - j + (j >> 1) + (j & 1) * (d / 2) : row;
}

function wholeSources({ sources, shape }: Tensor): RowRange[] {
  const counts = sources.map((source) => (shape.length === 1 ? rowLength(source) : rowCount(source)));
  return counts.map((count, source) => ({ source, first: 0, count }));
}
