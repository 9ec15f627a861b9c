import type { TensorSource } from "../../formats/container.js";
import { byteLength } from "../../formats/dtype.js";
import type { FileRegion } from "../host/types.js";
import { locateRow, rowLength, type Tensor } from "../tensor.js";
import type { Descriptors } from "./rows.js";

/** More than a job reads at once, but for rows that stand far apart. */
const MOST = 1 << 24;

/**
 * Where in open files some rows of a tensor are stored, for the most part: a guess, for whoever can have it read before. Rows
 * that are unpacked, turned or cut into runs are left out.
 */
export function storedRegions(
  files: Descriptors,
  tensor: Tensor,
  first: number,
  count: number,
): FileRegion[] {
  const { sources, shape, joined, ranges } = tensor;
  if (joined === "columns") return [];
  if (shape.length < 2) {
    const whole = sources.length === 1 && ranges === undefined;
    return whole ? regionOf(files, sources[0]!, 0, byteLength(tensor.dtype, shape)) : [];
  }
  const spans = new Map<number, { from: number; to: number }>();
  for (let row = first; row < first + count; row++) {
    const { source, row: at } = locateRow(tensor, row);
    const span = spans.get(source) ?? { from: at, to: at };
    spans.set(source, { from: Math.min(span.from, at), to: Math.max(span.to, at) });
  }
  return [...spans].flatMap(([index, { from, to }]) => {
    const source = sources[index]!;
    const row = byteLength(source.dtype, [rowLength(source)]);
    return regionOf(files, source, from * row, (to + 1 - from) * row);
  });
}

/** Bytes of a stored tensor from its byte `start` on, where they stand together. */
function regionOf(files: Descriptors, source: TensorSource, start: number, length: number): FileRegion[] {
  const fd = files[source.file]!;
  const { coded, strides, runs, offset } = source;
  const isPlain = coded === undefined && strides === undefined && runs === undefined;
  if (typeof fd !== "number" || !isPlain || length > MOST) return [];
  return [{ fd, offset: offset + start, byteLength: length }];
}
