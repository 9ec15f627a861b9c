import type { Coding, TensorSource } from "../../formats/container.js";
import { byteLength } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import type { Kernels } from "../kernels/kernels.js";
import { rowLength } from "../tensor.js";
import { SMALL_VALUES } from "./small-types.js";
import { type Descriptors, readSourceRows, readStored } from "./stored.js";

/** What reading takes; `name` is the tensor's, for messages. */
interface Reader {
  readonly kernels: Kernels;
  readonly files: Descriptors;
  readonly name: string;
}

/** Rows of a coded source, and the address where they go as f32. */
interface Rows {
  readonly source: TensorSource;
  readonly first: number;
  readonly count: number;
  readonly dst: number;
}

type Kind<K extends Coding["kind"]> = Extract<Coding, { kind: K }>;

/**
 * Rows `first` to `first + count` of a coded source as f32 at `dst`. Scratch memory above the current mark is used
 * and given back.
 * @throws LlqError `bad-input` for a column in a group that there is not
 */
export function decodeRows(
  reader: Reader,
  source: TensorSource,
  first: number,
  count: number,
  dst: number,
): void {
  const coded = source.coded!;
  const rows = { source, first, count, dst };
  const mark = reader.kernels.mark();
  if (coded.kind === "scaled") decodeScaled(reader, coded, rows);
  else if (coded.kind === "gptq") decodeGptq(reader, coded, rows);
  else if (coded.kind === "awq") decodeAwq(reader, coded, rows);
  else decodeSum(reader, coded, rows);
  reader.kernels.reset(mark);
}

function decodeScaled(
  reader: Reader,
  { type, scale }: Kind<"scaled">,
  { source, first, count, dst }: Rows,
): void {
  const { kernels, files, name } = reader;
  const columns = rowLength(source);
  const values = SMALL_VALUES[type];
  const scaleRow = scale === undefined ? 0 : Math.floor(first / scale.rows);
  const scaleRows = scale === undefined ? 0 : Math.floor((first + count - 1) / scale.rows) + 1 - scaleRow;
  const scales = scale && floatsOf(reader, scale.source, scaleRow, scaleRows);
  const across = scale === undefined ? 0 : rowLength(scale.source);
  const n = count * columns;
  const address = kernels.reserve(n);
  const stored = kernels.bytes(address, n);
  readStored(files[source.file]!, source, first * columns, n, { memory: () => stored, name }, 0);
  const x = kernels.floats(dst, n);
  for (let r = 0; r < count; r++) {
    const before = scale === undefined ? 0 : (Math.floor((first + r) / scale.rows) - scaleRow) * across;
    for (let c = 0; c < columns; ) {
      const factor = scale === undefined ? 1 : scales![before + Math.floor(c / scale.columns)]!;
      const end = scale === undefined ? columns : Math.min(columns, c + scale.columns);
      for (; c < end; c++) x[r * columns + c] = values[stored[r * columns + c]!]! * factor;
    }
  }
}

function decodeGptq(
  reader: Reader,
  { bits, words, zeros, zeroOffset, scales, groups, groupSize }: Kind<"gptq">,
  { source, first, count, dst }: Rows,
): void {
  const columns = rowLength(source);
  const pack = 32 / bits;
  const mask = 2 ** bits - 1;
  const groupCount = rowLength(scales);
  const group = groupOfColumns(reader, columns, groupCount, groupSize, groups);
  const wordsInRow = rowLength(words);
  const firstZero = Math.floor(first / pack);
  const z = wordsOf(reader, zeros, firstZero, Math.floor((first + count - 1) / pack) + 1 - firstZero).slice();
  const scale = floatsOf(reader, scales, first, count);
  const q = wordsOf(reader, words, first, count);
  const x = reader.kernels.floats(dst, count * columns);
  const offsets = new Float32Array(groupCount);
  for (let r = 0; r < count; r++) {
    const zeroRow = (Math.floor((first + r) / pack) - firstZero) * groupCount;
    const zeroShift = ((first + r) % pack) * bits;
    for (let g = 0; g < groupCount; g++) {
      offsets[g] = ((z[zeroRow + g]! >>> zeroShift) & mask) + zeroOffset;
    }
    for (let c = 0; c < columns; c++) {
      const word = q[r * wordsInRow + Math.floor(c / pack)]!;
      const g = group[c]!;
      x[r * columns + c] =
        scale[r * groupCount + g]! * (((word >>> ((c % pack) * bits)) & mask) - offsets[g]!);
    }
  }
}

/** Where in its word AWQ's kernels want each of eight rows: the inverse of 0, 2, 4, 6, 1, 3, 5, 7, in bits. */
const AWQ_SHIFTS = [0, 16, 4, 20, 8, 24, 12, 28];

function decodeAwq(
  reader: Reader,
  { words, zeros, scales, groupSize }: Kind<"awq">,
  { source, first, count, dst }: Rows,
): void {
  const columns = rowLength(source);
  const groupCount = rowLength(scales);
  const firstWord = Math.floor(first / 8);
  const wordRows = Math.floor((first + count - 1) / 8) + 1 - firstWord;
  const z = wordsOf(reader, zeros, firstWord, wordRows).slice();
  const scale = floatsOf(reader, scales, first, count);
  const q = wordsOf(reader, words, firstWord, wordRows);
  const x = reader.kernels.floats(dst, count * columns);
  for (let r = 0; r < count; r++) {
    const wordRow = Math.floor((first + r) / 8) - firstWord;
    const shift = AWQ_SHIFTS[(first + r) % 8]!;
    for (let c = 0; c < columns; c++) {
      const g = Math.floor(c / groupSize);
      const zero = (z[wordRow * groupCount + g]! >>> shift) & 15;
      x[r * columns + c] = scale[r * groupCount + g]! * (((q[wordRow * columns + c]! >>> shift) & 15) - zero);
    }
  }
}

function decodeSum(
  reader: Reader,
  { base, a, b, scale }: Kind<"sum">,
  { source, first, count, dst }: Rows,
): void {
  const { kernels } = reader;
  readF32(reader, base, first, count, dst);
  const rank = rowLength(b);
  const left = kernels.reserve(count * rank * 4);
  readF32(reader, b, first, count, left);
  const right = kernels.reserve(rank * rowLength(source) * 4);
  readF32(reader, a, 0, rank, right);
  kernels.call("add_low_rank")(left, right, dst, count, rank, rowLength(source), scale);
}

/** Rows of any source as f32 at `dst`. */
function readF32(reader: Reader, source: TensorSource, first: number, count: number, dst: number): void {
  if (source.coded !== undefined) {
    decodeRows(reader, source, first, count, dst);
    return;
  }
  const { kernels, files, name } = reader;
  const pitch = byteLength(source.dtype, [rowLength(source)]);
  const mark = kernels.mark();
  const raw = kernels.reserve(count * pitch);
  const memory = () => kernels.bytes(0, kernels.memory.buffer.byteLength);
  readSourceRows(files[source.file]!, source, first, count, { memory, at: raw, pitch, name });
  kernels.toF32(source.dtype, raw, dst, count * rowLength(source));
  kernels.reset(mark);
}

/** The same in an array of its own. */
function floatsOf(reader: Reader, source: TensorSource, first: number, count: number): Float32Array {
  const { kernels } = reader;
  const mark = kernels.mark();
  const n = count * rowLength(source);
  const address = kernels.reserve(n * 4);
  readF32(reader, source, first, count, address);
  const values = kernels.floats(address, n).slice();
  kernels.reset(mark);
  return values;
}

/** Rows of 4-byte words: a view of scratch memory, void after the next reservation. */
function wordsOf(
  { kernels, files, name }: Reader,
  source: TensorSource,
  first: number,
  count: number,
): Uint32Array {
  const n = count * rowLength(source);
  const address = kernels.reserve(n * 4);
  const bytes = kernels.bytes(address, n * 4);
  const target = { memory: () => bytes, at: 0, pitch: rowLength(source) * 4, name };
  readSourceRows(files[source.file]!, source, first, count, target);
  return new Uint32Array(kernels.memory.buffer, address, n);
}

function groupOfColumns(
  reader: Reader,
  columns: number,
  groupCount: number,
  groupSize: number,
  groups: TensorSource | undefined,
): Uint32Array {
  if (groups === undefined) return Uint32Array.from({ length: columns }, (_, c) => Math.floor(c / groupSize));
  const group = wordsOf(reader, groups, 0, 1).slice();
  const wrong = group.findIndex((g) => g >= groupCount);
  if (wrong < 0) return group;
  const message = `tensor ${reader.name}: column ${wrong} is in group ${group[wrong]! | 0} of ${groupCount}`;
  throw badInput(message, "g_idx is damaged, or of another layer");
}
