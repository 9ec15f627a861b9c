import { closeSync, readSync } from "node:fs";
import { badInput, LlqError, systemErrorCode } from "./errors.js";
import { refuseImpostor } from "./impostors.js";
import { listInputs, openError, openInput } from "./inputs.js";

/** Where bytes come from: a file, or a buffer in a test. Offsets are bytes from the start. */
export interface ByteSource {
  /** What to call it in a message. */
  readonly name: string;
  readonly byteLength: number;
  /** Exactly `length` bytes; throws `bad-input` if the source ends before. */
  read(offset: number, length: number): Uint8Array;
}

/** A file on the disk, which inputs.ts opens. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  readonly #fd: number;

  /** @throws LlqError `bad-input` when there is no such regular file or it may not be read */
  constructor(path: string) {
    this.name = path;
    const { fd, stamp } = openInput(path);
    this.#fd = fd;
    this.byteLength = Number(stamp.size);
  }

  read(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.byteLength) throw endsEarly(this, offset, length);
    const bytes = new Uint8Array(length);
    readFully(this.#fd, this.name, bytes, offset);
    return bytes;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Runs `use` over the file and closes it whatever happens. */
export function withFile<T>(path: string, use: (source: FileSource) => T): T {
  const source = new FileSource(path);
  try {
    return use(source);
  } finally {
    source.close();
  }
}

/** A whole small file, refused when larger than `limit` bytes. */
export function readSmallFile(path: string, limit: number): Uint8Array {
  return withFile(path, (source) => {
    if (source.byteLength > limit) {
      throw badInput(`${path}: ${source.byteLength} bytes; a file of this kind has at most ${limit}`);
    }
    return source.read(0, source.byteLength);
  });
}

/** The names in a folder; undefined when `path` is something else, or nothing. */
export function listFolder(path: string): string[] | undefined {
  try {
    return listInputs(path);
  } catch (cause) {
    if (cause instanceof LlqError) throw cause;
    const code = systemErrorCode(cause);
    if (code === "ENOTDIR" || code === "ENOENT") return undefined;
    throw openError(path, cause);
  }
}

/** A text file. @throws LlqError `bad-input` for one that is larger than `limit` bytes or not UTF-8 */
export function readText(path: string, limit: number): string {
  const bytes = readSmallFile(path, limit);
  try {
    // A byte-order mark is part of the text: llama.cpp tokenizes it too.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new LlqError("bad-input", `${path}: not UTF-8 text`, { cause });
  }
}

/**
 * JSON text as a value, also with what Python writes for numbers that are none: Infinity is one, and NaN a text, which
 * no number may be.
 * @param maxValues at most so many values, which take memory whatever they are
 * @throws LlqError `bad-input` for anything that is not UTF-8 JSON
 */
export function parseJson(name: string, bytes: Uint8Array, maxValues = MAX_JSON_VALUES): unknown {
  refuseImpostor(name, bytes);
  checkJsonBudget(name, bytes, maxValues);
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return JSON.parse(text);
  } catch (cause) {
    if (/Infinity|NaN/.test(text)) {
      const plain = text.replace(PYTHON_NUMBERS, (all, number) => PYTHON_VALUES.get(number) ?? all);
      if (plain !== text) return parseJson(name, Buffer.from(plain), maxValues);
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LlqError("bad-input", `${name}: not valid JSON: ${why}`, { cause });
  }
}

/** A JSON string, which is passed over, or a number of Python's that JSON has no words for. */
const PYTHON_NUMBERS = /"(?:[^"\\]|\\.)*"|(-?\bInfinity\b|\bNaN\b)/g;
const PYTHON_VALUES: ReadonlyMap<string, string> = new Map([
  ["Infinity", "1e999"],
  ["-Infinity", "-1e999"],
  ["NaN", '"NaN"'],
]);

/** JSON.parse takes some 40 bytes of memory for each bracket: a file of a few megabytes could take them all. */
const MAX_JSON_DEPTH = 100;
const MAX_JSON_VALUES = 2 ** 18;
/** Keys cost most; the largest vocabularies have 300,000. */
const MAX_JSON_KEYS = 2 ** 19;

/** Before anything is built: how deep the text nests, and how many commas and brackets promise values. */
function checkJsonBudget(name: string, json: Uint8Array, maxValues: number): void {
  let depth = 0;
  let values = 0;
  let keys = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (inString) {
      if (byte === 0x5c)
        i++; // backslash
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) {
      inString = true;
    } else if ((byte | 0x20) === 0x7b) {
      // [ or {
      values++;
      if (++depth > MAX_JSON_DEPTH)
        throw badInput(`${name}: not valid JSON: nested deeper than ${MAX_JSON_DEPTH}`);
    } else if ((byte | 0x20) === 0x7d) {
      // ] or }
      depth--;
    } else if (byte === 0x2c) {
      values++;
    } else if (byte === 0x3a && ++keys > MAX_JSON_KEYS) {
      throw badInput(`${name}: JSON of more than ${MAX_JSON_KEYS} keys`);
    }
    if (values > maxValues) throw badInput(`${name}: JSON of more than ${maxValues} values`);
  }
}

function endsEarly(source: ByteSource, offset: number, length: number): LlqError {
  const message = `${source.name}: byte ${offset}: ${length} bytes expected, but the file ends at ${source.byteLength}`;
  return badInput(message, "the file is truncated or damaged: fetch it again");
}

/** Fills `target` from the file at `offset`, however many calls it takes. */
export function readFully(fd: number, name: string, target: Uint8Array, offset: number): void {
  let done = 0;
  while (done < target.length) {
    const got = readSync(fd, target, done, target.length - done, offset + done);
    if (got === 0) {
      const message = `${name}: byte ${offset + done}: ${target.length - done} more bytes expected, but the file ends`;
      throw badInput(message, "the file changed or was truncated while it was read");
    }
    done += got;
  }
}

/** Bytes in memory as a source. */
export class BufferSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.byteLength = bytes.length;
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // a Buffer's slice() does not copy
  }

  read(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.byteLength) throw endsEarly(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }
}

const PAGE = 1 << 20;

/**
 * A cursor over a source, little endian unless told otherwise, bounds-checked; pages the source a megabyte at a time so that
 * parsers stay synchronous and straight. Every failure is an LlqError that names the file and the byte.
 */
export class ByteReader {
  readonly source: ByteSource;
  offset: number;
  /** Byte order of the numbers. */
  littleEndian: boolean;
  #page: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#page.buffer);
  #text: Buffer = Buffer.alloc(0);
  /** Where the page begins in the source. */
  #start = 0;
  /** Where in the page the last value taken begins. */
  #index = 0;

  constructor(source: ByteSource, offset = 0, littleEndian = true) {
    this.source = source;
    this.offset = offset;
    this.littleEndian = littleEndian;
  }

  get remaining(): number {
    return this.source.byteLength - this.offset;
  }

  fail(message: string, hint?: string, at: number = this.offset): never {
    throw badInput(`${this.source.name}: byte ${at}: ${message}`, hint);
  }

  u8(): number {
    return this.#take(1).getUint8(this.#index);
  }
  i8(): number {
    return this.#take(1).getInt8(this.#index);
  }
  u16(): number {
    return this.#take(2).getUint16(this.#index, this.littleEndian);
  }
  i16(): number {
    return this.#take(2).getInt16(this.#index, this.littleEndian);
  }
  u32(): number {
    return this.#take(4).getUint32(this.#index, this.littleEndian);
  }
  i32(): number {
    return this.#take(4).getInt32(this.#index, this.littleEndian);
  }
  f32(): number {
    return this.#take(4).getFloat32(this.#index, this.littleEndian);
  }
  f64(): number {
    return this.#take(8).getFloat64(this.#index, this.littleEndian);
  }
  bigU64(): bigint {
    return this.#take(8).getBigUint64(this.#index, this.littleEndian);
  }
  bigI64(): bigint {
    return this.#take(8).getBigInt64(this.#index, this.littleEndian);
  }

  /** A 64-bit size, offset or count; values a double cannot hold are refused. */
  u64(what: string): number {
    const at = this.offset;
    const view = this.#take(8);
    const [low, high] = this.littleEndian ? [0, 4] : [4, 0];
    const value =
      view.getUint32(this.#index + high, this.littleEndian) * 2 ** 32 +
      view.getUint32(this.#index + low, this.littleEndian);
    if (!Number.isSafeInteger(value)) {
      const exact = view.getBigUint64(this.#index, this.littleEndian);
      this.fail(`${exact} is too large for ${what}`, "the file is damaged", at);
    }
    return value;
  }

  /** A 64-bit count of items that take at least `itemSize` bytes each: it must fit the bytes left. */
  count(itemSize: number, what: string): number {
    const at = this.offset;
    const value = this.u64(`a number of ${what}`);
    if (value * itemSize > this.remaining) {
      this.fail(`${value} ${what} cannot fit the ${this.remaining} bytes left`, "the file is damaged", at);
    }
    return value;
  }

  bytes(length: number): Uint8Array {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    if (length > PAGE) {
      this.offset += length;
      return this.source.read(this.offset - length, length);
    }
    this.#take(length);
    return this.#page.slice(this.#index, this.#index + length);
  }

  /** UTF-8 of `length` bytes, a byte order mark included; bytes that are not UTF-8 become U+FFFD. */
  text(length: number): string {
    if (length > PAGE) return Buffer.from(this.bytes(length)).toString();
    this.#take(length);
    return this.#text.toString("utf8", this.#index, this.#index + length); // twice as fast as a TextDecoder
  }

  skip(length: number): void {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    this.offset += length;
  }

  /** Consumes `length` bytes (at most a page), which are then in the page from #index; may replace the page. */
  #take(length: number): DataView {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    if (this.offset < this.#start || this.offset + length > this.#start + this.#page.length) {
      this.#start = this.offset;
      this.#page = this.source.read(this.offset, Math.min(PAGE, this.remaining));
      const { buffer, byteOffset, byteLength } = this.#page;
      this.#view = new DataView(buffer, byteOffset, byteLength);
      this.#text = Buffer.from(buffer, byteOffset, byteLength);
    }
    this.#index = this.offset - this.#start;
    this.offset += length;
    return this.#view;
  }
}

/** Little-endian output that grows as needed. */
export class ByteWriter {
  #bytes = new Uint8Array(1 << 10);
  #view = new DataView(this.#bytes.buffer);
  /** Where the last value appended begins. */
  #index = 0;
  length = 0;

  u8(value: number): void {
    this.#grow(1).setUint8(this.#index, value);
  }
  i8(value: number): void {
    this.#grow(1).setInt8(this.#index, value);
  }
  u16(value: number): void {
    this.#grow(2).setUint16(this.#index, value, true);
  }
  i16(value: number): void {
    this.#grow(2).setInt16(this.#index, value, true);
  }
  u32(value: number): void {
    this.#grow(4).setUint32(this.#index, value, true);
  }
  i32(value: number): void {
    this.#grow(4).setInt32(this.#index, value, true);
  }
  f32(value: number): void {
    this.#grow(4).setFloat32(this.#index, value, true);
  }
  f64(value: number): void {
    this.#grow(8).setFloat64(this.#index, value, true);
  }
  u64(value: number | bigint): void {
    this.#grow(8).setBigUint64(this.#index, BigInt(value), true);
  }
  i64(value: number | bigint): void {
    this.#grow(8).setBigInt64(this.#index, BigInt(value), true);
  }
  bytes(value: Uint8Array): void {
    this.#grow(value.length);
    this.#bytes.set(value, this.#index);
  }
  /** Zeros up to the next multiple of `alignment`. */
  align(alignment: number): void {
    this.#grow(alignUp(this.length, alignment) - this.length);
    this.#bytes.fill(0, this.#index, this.length);
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  /** Appends `length` bytes, which begin at #index; may replace the array. */
  #grow(length: number): DataView {
    this.#index = this.length;
    this.length += length;
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#index));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return this.#view;
  }
}

/** The next multiple of `alignment` (any positive integer); exact up to 2^53, unlike a bit mask. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
