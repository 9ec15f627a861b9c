import { readSync } from "node:fs";
import type { TensorSource } from "../../formats/container.js";
import { byteLength, type DTypeName, dtype } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import { isStoredAsIs, locateRow, rowLength, type Tensor } from "../tensor.js";
import type { Kernels } from "./kernels.js";
import { applyStep } from "./steps.js";

/** Descriptors of a model's files, by TensorSource.file. They are process-wide: threads share them. */
export type Descriptors = readonly number[];

/** Bytes of one row of the tensor when stored as `name`. */
export function rowBytes(tensor: Tensor, name: DTypeName): number {
  return byteLength(name, [rowLength(tensor)]);
}

/**
 * Rows `first` to `first + count` of a tensor as f32 at `dst` (count × row length), its transforms and steps applied.
 * Scratch memory above the current mark is used and given back.
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
  if (tensor.values !== undefined) {
    kernels.floats(dst, count * length).set(tensor.values.slice(first * length, (first + count) * length));
    return;
  }
  const mark = kernels.mark();
  const raw = kernels.reserve(count * rowBytes(tensor, tensor.dtype));
  readStoredRows(kernels, files, tensor, first, count, raw);
  kernels.toF32(tensor.dtype, raw, dst, count * length);
  kernels.reset(mark);
  for (const step of tensor.steps) applyStep(kernels, step, dst, count, length);
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
  const memory = kernels.bytes(0, kernels.memory.buffer.byteLength);
  const target = { memory, at: dst, pitch: rowBytes(tensor, tensor.dtype), name: tensor.name };
  if (tensor.joined === "columns") {
    for (const source of tensor.sources) {
      readSourceRows(files[source.file]!, source, first, count, target);
      target.at += byteLength(source.dtype, [rowLength(source)]);
    }
  } else if (isStoredAsIs(tensor)) {
    const source = tensor.sources[0]!;
    readSourceRows(files[source.file]!, source, first, count, target);
  } else if (tensor.shape.length === 1) {
    // A vector's elements are placed one by one, as a matrix's rows are.
    const { typeSize } = dtype(tensor.dtype);
    readPlacedRows(files, tensor, first * rowLength(tensor), count * rowLength(tensor), {
      ...target,
      pitch: typeSize,
    });
  } else {
    readPlacedRows(files, tensor, first, count, target);
  }
}

/** Where rows go: the first at `at`, the next `pitch` bytes on. */
interface Target {
  readonly memory: Uint8Array;
  readonly at: number;
  readonly pitch: number;
  /** The tensor's, for messages. */
  readonly name: string;
}

/** Rows that stand elsewhere in their sources: one read per run of neighbours there, then each to its place. */
function readPlacedRows(
  files: Descriptors,
  tensor: Tensor,
  first: number,
  count: number,
  target: Target,
): void {
  const located = Array.from({ length: count }, (_, i) => ({ i, ...locateRow(tensor, first + i) }));
  located.sort((a, b) => a.source - b.source || a.row - b.row);
  const { memory, at, pitch, name } = target;
  for (let start = 0; start < count; ) {
    const { source: index, row, i } = located[start]!;
    let end = start + 1;
    while (end < count && located[end]!.source === index && located[end]!.row === row + end - start) end++;
    const inOrder = located.slice(start, end).every((placed, k) => placed.i === i + k);
    const source = asRows(tensor.sources[index]!, tensor.shape.length === 1);
    const rows = end - start;
    if (inOrder) {
      readSourceRows(files[source.file]!, source, row, rows, { ...target, at: at + i * pitch });
    } else {
      const run = new Uint8Array(rows * pitch);
      readSourceRows(files[source.file]!, source, row, rows, { memory: run, at: 0, pitch, name });
      for (let k = 0; k < rows; k++) {
        memory.set(run.subarray(k * pitch, (k + 1) * pitch), at + located[start + k]!.i * pitch);
      }
    }
    start = end;
  }
}

/** A vector seen as rows of one element. */
function asRows(source: TensorSource, isVector: boolean): TensorSource {
  if (!isVector) return source;
  const shape = [rowLength(source), 1];
  return source.strides === undefined
    ? { ...source, shape }
    : { ...source, shape, strides: [source.strides[0]!, 1] };
}

/** Rows `first` to `first + count` of one stored tensor. */
function readSourceRows(
  fd: number,
  source: TensorSource,
  first: number,
  count: number,
  target: Target,
): void {
  const length = byteLength(source.dtype, [rowLength(source)]);
  if (source.strides !== undefined) readStridedRows(fd, source, first, count, target);
  else if (target.pitch === length) {
    readStored(fd, source, first * length, count * length, target, target.at);
  } else {
    const run = new Uint8Array(count * length);
    readStored(fd, source, first * length, run.length, { ...target, memory: run }, 0);
    for (let k = 0; k < count; k++) {
      target.memory.set(run.subarray(k * length, (k + 1) * length), target.at + k * target.pitch);
    }
  }
}

/** Rows of a view such as a transposed matrix, or of several such matrices. */
function readStridedRows(
  fd: number,
  source: TensorSource,
  first: number,
  count: number,
  target: Target,
): void {
  const rows = source.shape.at(-2)!;
  for (let done = 0; done < count; ) {
    const row = (first + done) % rows;
    const some = Math.min(count - done, rows - row);
    const start = matrixStart(source, Math.floor((first + done) / rows));
    readMatrixRows(fd, source, start, row, some, { ...target, at: target.at + done * target.pitch });
    done += some;
  }
}

/** The element at which a matrix begins, of those that the outer dimensions number. */
function matrixStart({ shape, strides }: TensorSource, matrix: number): number {
  let start = 0;
  for (let i = shape.length - 3; i >= 0; i--) {
    start += (matrix % shape[i]!) * strides![i]!;
    matrix = Math.floor(matrix / shape[i]!);
  }
  return start;
}

/** Rows of the matrix that begins at element `start`: read along the dimension that is denser in the file. */
function readMatrixRows(
  fd: number,
  source: TensorSource,
  start: number,
  first: number,
  count: number,
  target: Target,
): void {
  const [rowStride, columnStride] = source.strides!.slice(-2) as [number, number];
  const { typeSize } = dtype(source.dtype);
  const columns = rowLength(source);
  const byRow = columnStride <= rowStride;
  const [lines, items] = byRow ? [count, columns] : [columns, count];
  const [lineStride, itemStride] = byRow ? [rowStride, columnStride] : [columnStride, rowStride];
  const [lineStep, itemStep] = byRow ? [target.pitch, typeSize] : [typeSize, target.pitch];
  const Elements = ELEMENTS[typeSize]!;
  const placed = new Elements(target.memory.buffer as ArrayBuffer, target.memory.byteOffset);
  const together = Math.max(1, Math.min(items, Math.floor(MAX_READ / (itemStride * typeSize)))); // items a read
  const span = new Elements((together - 1) * itemStride + 1);
  const bytes = new Uint8Array(span.buffer);
  for (let l = 0; l < lines; l++) {
    for (let i = 0; i < items; i += together) {
      const some = Math.min(together, items - i);
      const element = start + first * rowStride + l * lineStride + i * itemStride;
      const length = ((some - 1) * itemStride + 1) * typeSize;
      readStored(fd, source, element * typeSize, length, { ...target, memory: bytes }, 0);
      let to = (target.at + l * lineStep + i * itemStep) / typeSize;
      for (let k = 0; k < some; k++) {
        placed[to] = span[k * itemStride]!;
        to += itemStep / typeSize;
      }
    }
  }
}

/** Arrays of elements of so many bytes; what they hold does not matter. Views have types of one element a block. */
const ELEMENTS: Readonly<
  Record<number, typeof Uint8Array | typeof Uint16Array | typeof Uint32Array | typeof Float64Array>
> = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array };

/** `length` bytes of a stored tensor from its byte `start` on. */
function readStored(
  fd: number,
  { offset, runs }: TensorSource,
  start: number,
  length: number,
  target: Target,
  at: number,
): void {
  if (runs === undefined) {
    readInto(fd, target, at, length, offset + start);
    return;
  }
  let before = 0;
  for (const run of runs) {
    const first = Math.max(start, before);
    const end = Math.min(start + length, before + run.byteLength);
    if (first < end) readInto(fd, target, at + first - start, end - first, run.offset + first - before);
    before += run.byteLength;
  }
}

const MAX_READ = 1 << 20; // larger reads are slower: they leave the cache

function readInto(fd: number, { memory, name }: Target, at: number, length: number, offset: number): void {
  let done = 0;
  while (done < length) {
    const got = readSync(fd, memory, at + done, Math.min(MAX_READ, length - done), offset + done);
    if (got === 0)
      throw badInput(`tensor ${name}: byte ${offset + done}: the file ends`, "did it change meanwhile?");
    done += got;
  }
}
