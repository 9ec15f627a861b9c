// GGUF 2 and 3:  magic u32 | version u32 | tensor count u64 | metadata count u64
//                metadata ... | tensor infos ... | padding | tensor data
// See gguf.md for the layout and for what is refused.
import { t } from "../../src/language/t.js";
import { alignUp, ByteReader, type ByteSource } from "../bytes.js";
import { type Container, MAX_NAME, type MetaField, nameProblem } from "../container.js";
import { byteLength, type DTypeName, dtypeById } from "../dtype.js";
import { badInput, LlqError } from "../errors.js";
import { TURNED } from "./byte-order.js";
import { readField } from "./metadata.js";

/** "GGUF" */
export const GGUF_MAGIC = 0x46554747;
export const DEFAULT_ALIGNMENT = 32;
export const ALIGNMENT_KEY = "general.alignment";

// Fewest bytes of a metadata value and of a tensor info: a false count is refused before anything is allocated.
const MIN_FIELD = 14; // key length, key, type, value: 8 + 1 + 4 + 1
const MIN_TENSOR_INFO = 25; // name length, name, rank, type, offset: 8 + 1 + 4 + 4 + 8

// Models have some forty keys, 20 MB of vocabulary, and with every expert apart 70,000 tensors. More than this
// only takes memory.
const MAX_FIELDS = 2 ** 16;
const MAX_TENSORS = 2 ** 18;

/** A huge page; nobody maps files at more. */
const MAX_ALIGNMENT = 2 ** 21;
/** GGML_MAX_DIMS */
export const MAX_RANK = 4;

export interface Gguf extends Container {
  readonly format: "gguf";
  readonly version: number;
  /** Tensor data starts at multiples of this. */
  readonly alignment: number;
}

interface TensorInfo {
  readonly name: string;
  readonly dtype: DTypeName;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Bytes from the start of the tensor data. */
  readonly offset: number;
  /** Where in the file this info stands, for messages. */
  readonly at: number;
}

export interface GgufOptions {
  /** Accept a file that ends before its tensor data does: nobody is going to read it. */
  readonly headerOnly?: boolean;
}

/**
 * Everything in a GGUF file but the tensor data, whose place is checked.
 * @throws LlqError `bad-input` when the file breaks a rule of gguf.md, `unsupported` for versions and types
 * this program does not know
 */
export function readGguf(source: ByteSource, { headerOnly = false }: GgufOptions = {}): Gguf {
  const r = new ByteReader(source);
  if (r.u32() !== GGUF_MAGIC) r.fail(t`not a GGUF file: it does not begin with GGUF`, undefined, 0);
  const version = readVersion(r);
  const tensorCount = readCount(r, MIN_TENSOR_INFO, MAX_TENSORS, "tensors");
  const fieldCount = readCount(r, MIN_FIELD, MAX_FIELDS, t`metadata values`);
  const metadata = readMetadata(r, fieldCount);
  const alignment = readAlignment(r, metadata);
  const infos = readTensorInfos(r, tensorCount);
  const dataStart = alignUp(r.offset, alignment);
  for (const info of infos) {
    checkAlignment(r, info, alignment);
    if (!headerOnly) checkEnd(r, info, dataStart);
  }
  checkOverlap(r, infos);
  const tensors = new Map(
    infos.map(({ name, dtype, shape, byteLength, offset }) => [
      name,
      {
        file: 0,
        offset: dataStart + offset,
        byteLength,
        dtype,
        shape,
        ...(!r.littleEndian && { bigEndian: true as const }),
      },
    ]),
  );
  return {
    format: "gguf",
    version,
    alignment,
    files: [source.name],
    tensors,
    opaque: new Map(),
    metadata,
  };
}

/** It tells the byte order too: as 3 backwards, all numbers from here on are big-endian. Version 2 had one order. */
function readVersion(r: ByteReader): number {
  const at = r.offset;
  const version = r.u32();
  if (version === 2 || version === 3) return version;
  if (version === 0x03000000) {
    r.littleEndian = false;
    return 3;
  }
  const what = t`GGUF version ${version} is not supported, only 2 and 3 are`;
  throw new LlqError("unsupported", t`${r.source.name}: byte ${at}: ${what}`, {
    hint: t`convert the model again`,
  });
}

function readCount(r: ByteReader, itemSize: number, limit: number, what: string): number {
  const at = r.offset;
  const count = r.count(itemSize, what);
  if (count > limit) r.fail(t`${count} ${what}; at most ${limit} are allowed`, undefined, at);
  return count;
}

function readMetadata(r: ByteReader, count: number): Map<string, MetaField> {
  const metadata = new Map<string, MetaField>();
  for (let i = 0; i < count; i++) {
    const at = r.offset;
    const key = readName(r, t`the key of metadata value ${i}`);
    if (metadata.has(key)) r.fail(t`metadata key ${key} appears twice`, undefined, at);
    metadata.set(key, readField(r, key));
  }
  return metadata;
}

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** A key or a tensor's name: unlike a value it is looked up and printed, so it must be text. */
function readName(r: ByteReader, what: string): string {
  const at = r.offset;
  const length = r.count(1, t`bytes in ${what}`);
  if (length > MAX_NAME)
    r.fail(t`${what} has ${length} bytes, at most ${MAX_NAME} are allowed`, undefined, at);
  const bytes = r.bytes(length);
  let name: string;
  try {
    name = strict.decode(bytes);
  } catch {
    return r.fail(t`${what} is not valid UTF-8`, undefined, at);
  }
  const problem = nameProblem(name);
  if (problem !== undefined) r.fail(`${what} ${problem}`, undefined, at);
  return name;
}

function readAlignment(r: ByteReader, metadata: ReadonlyMap<string, MetaField>): number {
  const field = metadata.get(ALIGNMENT_KEY);
  if (field === undefined) return DEFAULT_ALIGNMENT;
  const { type, value } = field;
  if (type !== "u32") throw badInput(t`${r.source.name}: ${ALIGNMENT_KEY} has type ${type}, expected u32`);
  const alignment = Number(value);
  if (alignment === 0 || alignment % 8 !== 0 || alignment > MAX_ALIGNMENT) {
    const expected = t`expected a multiple of 8 up to ${MAX_ALIGNMENT}`;
    throw badInput(t`${r.source.name}: ${ALIGNMENT_KEY} is ${alignment}, ${expected}`);
  }
  return alignment;
}

function readTensorInfos(r: ByteReader, count: number): TensorInfo[] {
  const infos = new Map<string, TensorInfo>();
  for (let i = 0; i < count; i++) {
    const info = readTensorInfo(r, i);
    if (infos.has(info.name)) r.fail(t`tensor ${info.name} appears twice`, undefined, info.at);
    infos.set(info.name, info);
  }
  return [...infos.values()];
}

function readTensorInfo(r: ByteReader, index: number): TensorInfo {
  const at = r.offset;
  const name = readName(r, t`the name of tensor ${index}`);
  const rank = r.u32();
  if (rank > MAX_RANK) {
    r.fail(t`tensor ${name} has ${rank} dimensions, at most ${MAX_RANK} are allowed`, undefined, at);
  }
  const shape = Array.from({ length: rank }, () => r.u64(t`a dimension of tensor ${name}`)).reverse(); // the file has the innermost first
  const id = r.u32();
  const dtype = dtypeById(id);
  if (dtype === undefined) {
    throw new LlqError(
      "unsupported",
      t`${r.source.name}: byte ${at}: tensor ${name} has unknown type ${id}`,
      {
        hint: t`it is newer than this version of llq, or the file is damaged`,
      },
    );
  }
  if (!r.littleEndian && !TURNED.includes(dtype)) {
    const message = t`${r.source.name}: byte ${at}: tensor ${name} is ${dtype}, which is not read from big-endian files`;
    throw new LlqError("unsupported", message, { hint: t`supported there: ${TURNED.join(", ")}` });
  }
  const offset = r.u64(t`the offset of tensor ${name}`);
  try {
    return { name, dtype, shape, byteLength: byteLength(dtype, shape), offset, at };
  } catch (cause) {
    if (!(cause instanceof LlqError)) throw cause;
    return r.fail(t`tensor ${name}: ${cause.message}`, undefined, at);
  }
}

function checkAlignment(r: ByteReader, { name, at, offset }: TensorInfo, alignment: number): void {
  if (offset % alignment !== 0) {
    r.fail(t`tensor ${name} has offset ${offset}, not a multiple of ${alignment}`, undefined, at);
  }
}

/** The tensor is within the file: what a file leaves out must never be read as weights. */
function checkEnd(r: ByteReader, { name, at, offset, byteLength }: TensorInfo, dataStart: number): void {
  const end = dataStart + offset + byteLength;
  if (end > r.source.byteLength) {
    r.fail(
      t`tensor ${name} ends at byte ${end}, but the file ends at ${r.source.byteLength}`,
      t`the file is truncated: fetch it again`,
      at,
    );
  }
}

function checkOverlap(r: ByteReader, infos: readonly TensorInfo[]): void {
  const placed = infos.filter((info) => info.byteLength > 0).sort((a, b) => a.offset - b.offset);
  for (const [i, info] of placed.entries()) {
    const before = placed[i - 1];
    if (before !== undefined && before.offset + before.byteLength > info.offset) {
      r.fail(t`tensors ${before.name} and ${info.name} overlap`, undefined, info.at);
    }
  }
}
