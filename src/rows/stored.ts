import { readSync } from "#host/files";
import type { Run, TensorSource } from "../../formats/container.js";
import { byteLength, dtype } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import { turnBlocks } from "../../formats/gguf/byte-order.js";
import { t } from "../language/t.js";
import { rowLength } from "../tensor.js";
import { descriptorOf, type LateFile } from "./late.js";

/** A file that is open, process-wide: threads share it. Or one of too many to be open at once (late.ts). */
export type Descriptor = number | LateFile;

/** Of a model's files, by TensorSource.file. */
export type Descriptors = readonly Descriptor[];

/** Where rows go: the first at `at`, the next `pitch` bytes on. */
export interface Target {
  /** A call, since the kernels' memory may grow and its views are void then. */
  readonly memory: () => Uint8Array;
  readonly at: number;
  readonly pitch: number;
  /** The tensor's, for messages. */
  readonly name: string;
}

/** Rows `first` to `first + count` of one stored tensor, as they are stored. */
export function readSourceRows(
  fd: Descriptor,
  source: TensorSource,
  first: number,
  count: number,
  target: Target,
): void {
  const length = byteLength(source.dtype, [rowLength(source)]);
  if (source.strides !== undefined) readStridedRows(fd, source, first, count, target);
  else if (target.pitch === length) {
    readStored(fd, source, first * length, count * length, target, target.at);
    if (source.bigEndian)
      turnBlocks(source.dtype, target.memory().subarray(target.at, target.at + count * length));
  } else {
    const run = new Uint8Array(count * length);
    readStored(fd, source, first * length, run.length, { ...target, memory: () => run }, 0);
    if (source.bigEndian) turnBlocks(source.dtype, run);
    const memory = target.memory();
    for (let k = 0; k < count; k++) {
      memory.set(run.subarray(k * length, (k + 1) * length), target.at + k * target.pitch);
    }
  }
}

/** Rows of a view such as a transposed matrix, or of several such matrices. */
function readStridedRows(
  fd: Descriptor,
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
  fd: Descriptor,
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
  const memory = target.memory();
  const placed = new Elements(memory.buffer as ArrayBuffer, memory.byteOffset);
  const together = Math.max(1, Math.min(items, Math.floor(MAX_READ / (itemStride * typeSize)))); // items a read
  const span = new Elements((together - 1) * itemStride + 1);
  const bytes = new Uint8Array(span.buffer);
  for (let l = 0; l < lines; l++) {
    for (let i = 0; i < items; i += together) {
      const some = Math.min(together, items - i);
      const element = start + first * rowStride + l * lineStride + i * itemStride;
      const length = ((some - 1) * itemStride + 1) * typeSize;
      readStored(fd, source, element * typeSize, length, { ...target, memory: () => bytes }, 0);
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

/** `length` bytes of a stored tensor from its byte `start` on, to byte `at` of the target's memory. */
export function readStored(
  fd: Descriptor,
  { offset, runs }: { readonly offset: number; readonly runs?: readonly Run[] | undefined },
  start: number,
  length: number,
  target: Pick<Target, "memory" | "name">,
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

function readInto(
  fd: Descriptor,
  { memory, name }: Pick<Target, "memory" | "name">,
  at: number,
  length: number,
  offset: number,
): void {
  const bytes = memory();
  let done = 0;
  while (done < length) {
    const got = readSync(
      descriptorOf(fd),
      bytes,
      at + done,
      Math.min(MAX_READ, length - done),
      offset + done,
    );
    if (got === 0)
      throw badInput(t`tensor ${name}: byte ${offset + done}: the file ends`, t`did it change meanwhile?`);
    done += got;
  }
}
