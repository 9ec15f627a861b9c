import type { TensorSource } from "../../formats/container.js";
import { byteLength, type DTypeName, dtype } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import type { Kernels } from "../kernels/kernels.js";
import { t } from "../language/t.js";
import { isStoredAsIs, locateRow, rowCount, rowLength, type Tensor } from "../tensor.js";
import { decodeRows } from "./packed/index.js";
import { applyStep } from "./steps.js";
import { type Descriptors, readSourceRows, type Target } from "./stored.js";

export type { Descriptors } from "./stored.js";

/** Bytes of one row of the tensor when stored as `name`. */
export function rowBytes(tensor: Tensor, name: DTypeName): number {
  return byteLength(name, [rowLength(tensor)]);
}

/**
 * Rows `first` to `first + count` of a tensor as f32 at `dst` (count × row length), its transforms and steps applied.
 * Scratch memory above the current mark is used and given back.
 * @throws LlqError `bad-input` for rows that the tensor does not have
 */
export function readRowsF32(
  kernels: Kernels,
  files: Descriptors,
  tensor: Tensor,
  first: number,
  count: number,
  dst: number,
): void {
  const length = rowLength(tensor);
  checkRows(tensor, first, count);
  if (tensor.values !== undefined) {
    kernels.floats(dst, count * length).set(tensor.values.slice(first * length, (first + count) * length));
    return;
  }
  const mark = kernels.mark();
  const raw = kernels.reserve(count * rowBytes(tensor, tensor.dtype));
  readStoredRows(kernels, files, tensor, first, count, raw);
  widenRows(kernels, tensor, raw, first, count, dst);
  kernels.reset(mark);
}

/** Rows that readStoredRows has put at `raw`, from `first` on, as f32 at `dst`, the tensor's steps applied. */
export function widenRows(
  kernels: Kernels,
  tensor: Tensor,
  raw: number,
  first: number,
  count: number,
  dst: number,
): void {
  const length = rowLength(tensor);
  kernels.toF32(tensor.dtype, raw, dst, count * length);
  for (const step of tensor.steps) applyStep(kernels, step, dst, first, count, length);
}

/** The same rows as they are stored, `count` × bytes of a row at `dst`, in the tensor's order. */
export function readStoredRows(
  kernels: Kernels,
  files: Descriptors,
  tensor: Tensor,
  first: number,
  count: number,
  dst: number,
): void {
  checkRows(tensor, first, count);
  const memory = () => kernels.bytes(0, kernels.memory.buffer.byteLength);
  const target = { memory, at: dst, pitch: rowBytes(tensor, tensor.dtype), name: tensor.name };
  if (tensor.joined === "columns") {
    for (const source of tensor.sources) {
      readRows(kernels, files, source, first, count, target);
      target.at += byteLength(source.dtype, [rowLength(source)]);
    }
  } else if (isStoredAsIs(tensor)) {
    const source = tensor.sources[0]!;
    readRows(kernels, files, source, first, count, target);
  } else if (tensor.shape.length === 1) {
    // A vector's elements are placed one by one, as a matrix's rows are.
    const { typeSize } = dtype(tensor.dtype);
    readPlacedRows(kernels, files, tensor, first * rowLength(tensor), count * rowLength(tensor), {
      ...target,
      pitch: typeSize,
    });
  } else {
    readPlacedRows(kernels, files, tensor, first, count, target);
  }
}

/** Rows that stand elsewhere in their sources: one read per run of neighbours there, then each to its place. */
function readPlacedRows(
  kernels: Kernels,
  files: Descriptors,
  tensor: Tensor,
  first: number,
  count: number,
  target: Target,
): void {
  const located = Array.from({ length: count }, (_, i) => ({ i, ...locateRow(tensor, first + i) }));
  located.sort((a, b) => a.source - b.source || a.row - b.row);
  const { at, pitch, name } = target;
  for (let start = 0; start < count; ) {
    const { source: index, row, i } = located[start]!;
    let end = start + 1;
    while (end < count && located[end]!.source === index && located[end]!.row === row + end - start) end++;
    const inOrder = located.slice(start, end).every((placed, k) => placed.i === i + k);
    const source = asRows(tensor.sources[index]!, tensor.shape.length === 1);
    const rows = end - start;
    if (inOrder) {
      readRows(kernels, files, source, row, rows, { ...target, at: at + i * pitch });
    } else {
      const run = new Uint8Array(rows * pitch);
      readRows(kernels, files, source, row, rows, { memory: () => run, at: 0, pitch, name });
      const memory = target.memory();
      for (let k = 0; k < rows; k++) {
        memory.set(run.subarray(k * pitch, (k + 1) * pitch), at + located[start + k]!.i * pitch);
      }
    }
    start = end;
  }
}

function checkRows(tensor: Tensor, first: number, count: number): void {
  const rows = tensor.shape.length > 1 ? rowCount(tensor) : 1;
  if (first + count <= rows) return;
  throw badInput(t`tensor ${tensor.name} has ${rows} rows: row ${first + count - 1} is beyond them`);
}

/** Rows of one source, which may have to be computed; those that it lacks and the tensor has are zeros. */
function readRows(
  kernels: Kernels,
  files: Descriptors,
  source: TensorSource,
  first: number,
  count: number,
  target: Target,
): void {
  if (source.coded === undefined) {
    const stored = Math.max(0, Math.min(count, rowCount(source) - first));
    if (stored > 0) readSourceRows(files[source.file]!, source, first, stored, target);
    const length = byteLength(source.dtype, [rowLength(source)]);
    for (let k = stored; k < count; k++) {
      const at = target.at + k * target.pitch;
      target.memory().fill(0, at, at + length);
    }
    return;
  }
  const mark = kernels.mark();
  const length = byteLength(source.dtype, [rowLength(source)]);
  const rows = kernels.reserve(count * length);
  decodeRows(kernels, files, target.name, source, first, count, rows);
  const memory = target.memory();
  for (let k = 0; k < count; k++) {
    memory.set(kernels.bytes(rows + k * length, length), target.at + k * target.pitch);
  }
  kernels.reset(mark);
}

/** A vector seen as rows of one element. */
function asRows(source: TensorSource, isVector: boolean): TensorSource {
  if (!isVector) return source;
  const shape = [rowLength(source), 1];
  return source.strides === undefined
    ? { ...source, shape }
    : { ...source, shape, strides: [source.strides[0]!, 1] };
}
