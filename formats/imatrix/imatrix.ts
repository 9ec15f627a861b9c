// An importance matrix: how large each input column of a matrix is, on average, as text runs through the model.
//
// GGUF:    tensors `<name>.in_sum2` (experts x columns, sums of squares) and `<name>.counts` (experts), F32;
//          metadata imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size
// .dat:    count i32 | entries | chunks i32 | length i32 | dataset        the last three may be absent
//          entry:  length i32 | name | calls i32 | values i32 | f32 ...   values: mean of squares x calls
import { t } from "../../src/language/t.js";
import { ByteReader, type ByteSource, withFile } from "../bytes.js";
import { type MetaField, nameProblem, type TensorSource } from "../container.js";
import { elementCount } from "../dtype.js";
import { badInput } from "../errors.js";
import { turnBlocks } from "../gguf/byte-order.js";
import { GGUF_MAGIC, readGguf } from "../gguf/gguf.js";

export interface Imatrix {
  /** The file it was read from. */
  readonly file: string;
  /** Mean square of the activations in each input column, by tensor; of stacked experts one after the other. */
  readonly entries: ReadonlyMap<string, Float32Array>;
  /** Names of the texts it was computed on. */
  readonly datasets: readonly string[];
  /** Pieces of text that were run; 0 when the file does not say. */
  readonly chunks: number;
}

/** An importance matrix as it is collected: sums, so that matrices can be added. */
export interface ImatrixSums {
  readonly entries: ReadonlyMap<string, ImatrixEntry>;
  readonly datasets: readonly string[];
  readonly chunks: number;
  /** Tokens in a chunk; undefined in a .dat file, which counts chunks where others count tokens. */
  readonly chunkSize: number | undefined;
}

export interface ImatrixEntry {
  /** [experts][columns]: squares of the activations, added up. */
  readonly sums: Float32Array | Float64Array;
  /** [experts]: how many were added; .dat files have one count for all experts. */
  readonly counts: ArrayLike<number>;
}

export function openImatrix(path: string): Imatrix {
  return withFile(path, readImatrix);
}

/**
 * Reads either form, with the means as llama-quantize takes them: an expert that no token reached counts all
 * of its columns alike.
 * @throws LlqError `bad-input` when the file is damaged or no importance matrix
 */
export function readImatrix(source: ByteSource): Imatrix {
  const { entries, datasets, chunks } = readImatrixSums(source);
  const means = new Map(Array.from(entries, ([name, entry]) => [name, meansOf(entry)]));
  return { file: source.name, entries: means, datasets, chunks };
}

/** In the place of the sums, which were read for this. */
function meansOf({ sums, counts }: ImatrixEntry): Float32Array {
  const means = sums as Float32Array;
  const columns = means.length / counts.length;
  for (let i = 0; i < means.length; i++) {
    const count = counts[Math.floor(i / columns)]!;
    means[i] = count > 0 ? means[i]! / Math.fround(count) : 1;
  }
  return means;
}

export function openImatrixSums(path: string): ImatrixSums {
  return withFile(path, readImatrixSums);
}

/** @throws LlqError `bad-input` when the file is damaged or no importance matrix */
export function readImatrixSums(source: ByteSource): ImatrixSums {
  const r = new ByteReader(source);
  const imatrix = r.u32() === GGUF_MAGIC ? readGgufForm(source) : readDatForm(source);
  for (const [name, { sums }] of imatrix.entries) {
    const bad = sums.findIndex((sum) => !(sum >= 0 && sum < Number.POSITIVE_INFINITY));
    if (bad < 0) continue;
    throw badInput(t`${source.name}: entry ${name}: column ${bad} has an importance of ${sums[bad]}`);
  }
  return imatrix;
}

/** What the names of an entry's two tensors end with. */
export const SUMS = ".in_sum2";
export const COUNTS = ".counts";

function readGgufForm(source: ByteSource): ImatrixSums {
  const { tensors, metadata } = readGguf(source);
  const chunks = metadata.get("imatrix.chunk_count")?.value;
  const chunkSize = metadata.get("imatrix.chunk_size")?.value;
  const datasets = metadata.get("imatrix.datasets");
  if (typeof chunks !== "number" || typeof chunkSize !== "number" || !isStrings(datasets)) {
    const keys = t`imatrix.chunk_count, imatrix.chunk_size or imatrix.datasets`;
    const message = t`${source.name}: no importance matrix: ${keys} is missing`;
    throw badInput(message, t`llama-imatrix and llq imatrix write such files`);
  }
  const entries = new Map<string, ImatrixEntry>();
  for (const [name, sums] of tensors) {
    if (!name.endsWith(SUMS)) continue;
    const entry = name.slice(0, -SUMS.length);
    const counts = tensors.get(entry + COUNTS);
    if (counts === undefined) throw badInput(t`${source.name}: entry ${entry} has no counts`);
    entries.set(entry, {
      sums: readF32(source, name, sums),
      counts: readCounts(source, entry, counts, elementCount(sums.shape)),
    });
  }
  if (entries.size === 0) throw badInput(t`${source.name}: the importance matrix is empty`);
  return { entries, datasets: datasets.value as readonly string[], chunks, chunkSize };
}

function isStrings(field: MetaField | undefined): field is MetaField {
  return field?.type === "array" && field.item === "string";
}

function readF32(
  source: ByteSource,
  name: string,
  { dtype, offset, byteLength, bigEndian }: TensorSource,
): Float32Array {
  if (dtype !== "F32") throw badInput(t`${source.name}: tensor ${name} is ${dtype}, expected F32`);
  const bytes = source.read(offset, byteLength).slice();
  if (bigEndian) turnBlocks(dtype, bytes);
  return toFloats(bytes);
}

/** A copy, wherever the bytes begin. */
function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

function readCounts(source: ByteSource, entry: string, tensor: TensorSource, sums: number): Float32Array {
  const counts = readF32(source, entry + COUNTS, tensor).map(Math.round);
  if (counts.length === 0 || sums === 0 || sums % counts.length !== 0) {
    throw badInput(t`${source.name}: entry ${entry}: ${sums} sums do not go with ${counts.length} counts`);
  }
  const bad = counts.find((count) => !(count >= 0 && count < Number.POSITIVE_INFINITY));
  if (bad !== undefined) throw badInput(t`${source.name}: entry ${entry} has a count of ${bad}`);
  return counts;
}

/** As many as a GGUF file may have tensors. */
const MAX_ENTRIES = 2 ** 18;
// Fewest bytes of an entry: name length, name, calls, number of values, value.
const MIN_ENTRY = 4 + 1 + 4 + 4 + 4;

function readDatForm(source: ByteSource): ImatrixSums {
  const r = new ByteReader(source);
  const entryCount = readCount(r, MIN_ENTRY, "entries");
  if (entryCount > MAX_ENTRIES)
    r.fail(t`${entryCount} entries; at most ${MAX_ENTRIES} are allowed`, NO_IMATRIX());
  if (entryCount === 0) r.fail(t`the importance matrix is empty`);
  const entries = new Map<string, ImatrixEntry>();
  for (let i = 0; i < entryCount; i++) {
    const at = r.offset;
    const name = r.text(readCount(r, 1, t`bytes of a name`));
    const problem = nameProblem(name);
    if (problem !== undefined) r.fail(t`the name of entry ${i} ${problem}`, NO_IMATRIX(), at);
    if (entries.has(name)) r.fail(t`entry ${name} appears twice`, undefined, at);
    const calls = r.i32();
    if (calls < 0) r.fail(t`entry ${name} has ${calls} calls`, NO_IMATRIX());
    const values = toFloats(r.bytes(4 * readCount(r, 4, "values")));
    if (values.length === 0) r.fail(t`entry ${name} has no values`);
    entries.set(name, { sums: values, counts: [Math.max(1, calls)] }); // without calls they are means
  }
  if (r.remaining === 0) return { entries, datasets: [], chunks: 0, chunkSize: undefined };
  const chunks = r.i32();
  if (chunks < 0) r.fail(t`${chunks} chunks`);
  const dataset = r.remaining > 0 ? r.text(readCount(r, 1, t`bytes of a dataset's name`)) : "";
  return { entries, datasets: dataset === "" ? [] : [dataset], chunks, chunkSize: undefined };
}

const NO_IMATRIX = () => t`is this an importance matrix?`;

/** A 32-bit count of items of at least `itemSize` bytes. */
function readCount(r: ByteReader, itemSize: number, what: string): number {
  const at = r.offset;
  const count = r.i32();
  if (count < 0 || count * itemSize > r.remaining) {
    r.fail(t`${count} ${what} cannot fit the ${r.remaining} bytes left`, NO_IMATRIX(), at);
  }
  return count;
}
