import { readSync } from "node:fs";
import { byteLength, type DTypeName } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import { rowCount, rowLength, storedRow, type Tensor } from "../tensor.js";
import type { Kernels } from "./kernels.js";

/** Descriptors of a model's files, by TensorSource.file. They are process-wide: threads share them. */
export type Descriptors = readonly number[];

/**
 * Rows `first` to `first + count` of a tensor as f32 at `dst` (count × row length), its transform applied.
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
  const raw = kernels.reserve(count * byteLength(tensor.dtype, [length]));
  readStoredRows(kernels, files, tensor, first, count, raw);
  kernels.toF32(tensor.dtype, raw, dst, count * length);
  kernels.reset(mark);
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
  const source = tensor.source!;
  const bytes = kernels.bytes(0, kernels.memory.buffer.byteLength);
  const fd = files[source.file]!;
  if (tensor.transform === undefined) {
    const rowBytes = byteLength(tensor.dtype, [rowLength(tensor)]);
    readInto(fd, tensor.name, bytes, dst, count * rowBytes, source.offset + first * rowBytes);
    return;
  }
  // A vector is permuted by element: each of its elements is a row of one.
  const isVector = tensor.shape.length === 1;
  const rows = isVector ? rowLength(tensor) : rowCount(tensor);
  const [from, moved] = isVector ? [first * rows, count * rows] : [first, count];
  const rowBytes = byteLength(tensor.dtype, [isVector ? 1 : rowLength(tensor)]);
  readPermuted({ fd, tensor, bytes, dst, rows, rowBytes }, from, moved);
}

interface PermutedRead {
  readonly fd: number;
  readonly tensor: Tensor;
  readonly bytes: Uint8Array;
  readonly dst: number;
  readonly rows: number;
  readonly rowBytes: number;
}

/** One read per run of neighbours in the file, then each row to its place. */
function readPermuted(read: PermutedRead, first: number, count: number): void {
  const { fd, tensor, bytes, dst, rows, rowBytes } = read;
  const stored = Array.from({ length: count }, (_, i) => storedRow(tensor.transform, rows, first + i));
  const order = stored.map((_, i) => i).sort((a, b) => stored[a]! - stored[b]!);
  for (let at = 0; at < count; ) {
    let end = at + 1;
    while (end < count && stored[order[end]!] === stored[order[end - 1]!]! + 1) end++;
    const run = new Uint8Array((end - at) * rowBytes);
    const offset = tensor.source!.offset + stored[order[at]!]! * rowBytes;
    readInto(fd, tensor.name, run, 0, run.length, offset);
    for (let i = at; i < end; i++) {
      bytes.set(run.subarray((i - at) * rowBytes, (i - at + 1) * rowBytes), dst + order[i]! * rowBytes);
    }
    at = end;
  }
}

const MAX_READ = 1 << 20; // larger reads are slower: they leave the cache

function readInto(
  fd: number,
  name: string,
  bytes: Uint8Array,
  at: number,
  length: number,
  offset: number,
): void {
  let done = 0;
  while (done < length) {
    const got = readSync(fd, bytes, at + done, Math.min(MAX_READ, length - done), offset + done);
    if (got === 0)
      throw badInput(`tensor ${name}: byte ${offset + done}: the file ends`, "did it change meanwhile?");
    done += got;
  }
}

/** Bytes of one row of the tensor when stored as `name`. */
export function rowBytes(tensor: Tensor, name: DTypeName): number {
  return byteLength(name, [rowLength(tensor)]);
}
