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
  const { sources, shape, joined } = tensor;
  if (shape.length < 2 || joined === "columns") return [];
  const spans = new Map<number, { from: number; to: number }>();
  for (let row = first; row < first + count; row++) {
    const { source, row: at } = locateRow(tensor, row);
    const span = spans.get(source) ?? { from: at, to: at };
    spans.set(source, { from: Math.min(span.from, at), to: Math.max(span.to, at) });
  }
  return [...spans].flatMap(([index, { from, to }]) => {
    const source = sources[index]!;
    const fd = files[source.file]!;
    const { coded, strides, runs, dtype, offset } = source;
    if (typeof fd !== "number" || coded !== undefined || strides !== undefined || runs !== undefined)
      return [];
    const row = byteLength(dtype, [rowLength(source)]);
    const length = (to + 1 - from) * row;
    return length > MOST ? [] : [{ fd, offset: offset + from * row, byteLength: length }];
  });
}
