import { decodeUtf8, textOf } from "#host/bytes";
import { closeSync, readSync } from "#host/files";
import { t } from "../src/language/t.js";
import { badInput, LlqError, systemErrorCode } from "./errors.js";
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
      throw badInput(t`${path}: ${source.byteLength} bytes; a file of this kind has at most ${limit}`);
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
    throw new LlqError("bad-input", t`${path}: not UTF-8 text`, { cause });
  }
}

function endsEarly(source: ByteSource, offset: number, length: number): LlqError {
  const message = t`${source.name}: byte ${offset}: ${length} bytes expected, but the file ends at ${source.byteLength}`;
  return badInput(message, t`the file is truncated or damaged: fetch it again`);
}

/** Fills `target` from the file at `offset`, however many calls it takes. */
export function readFully(fd: number, name: string, target: Uint8Array, offset: number): void {
  let done = 0;
  while (done < target.length) {
    const got = readSync(fd, target, done, target.length - done, offset + done);
    if (got === 0) {
      const message = t`${name}: byte ${offset + done}: ${target.length - done} more bytes expected, but the file ends`;
      throw badInput(message, t`the file changed or was truncated while it was read`);
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
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // some copy nothing in slice()
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
  #text = textOf(this.#page);
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
    throw badInput(t`${this.source.name}: byte ${at}: ${message}`, hint);
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
      this.fail(t`${exact} is too large for ${what}`, t`the file is damaged`, at);
    }
    return value;
  }

  /** A 64-bit count of items that take at least `itemSize` bytes each: it must fit the bytes left. */
  count(itemSize: number, what: string): number {
    const at = this.offset;
    const value = this.u64(t`a number of ${what}`);
    if (value * itemSize > this.remaining) {
      this.fail(t`${value} ${what} cannot fit the ${this.remaining} bytes left`, t`the file is damaged`, at);
    }
    return value;
  }

  bytes(length: number): Uint8Array {
    if (length > this.remaining)
      this.fail(t`${length} bytes expected, ${this.remaining} left`, t`the file is truncated`);
    if (length > PAGE) {
      this.offset += length;
      return this.source.read(this.offset - length, length);
    }
    this.#take(length);
    return this.#page.slice(this.#index, this.#index + length);
  }

  /** UTF-8 of `length` bytes, a byte order mark included; bytes that are not UTF-8 become U+FFFD. */
  text(length: number): string {
    if (length > PAGE) return decodeUtf8(this.bytes(length));
    this.#take(length);
    return this.#text(this.#index, this.#index + length);
  }

  skip(length: number): void {
    if (length > this.remaining)
      this.fail(t`${length} bytes expected, ${this.remaining} left`, t`the file is truncated`);
    this.offset += length;
  }

  /** Consumes `length` bytes (at most a page), which are then in the page from #index; may replace the page. */
  #take(length: number): DataView {
    if (length > this.remaining)
      this.fail(t`${length} bytes expected, ${this.remaining} left`, t`the file is truncated`);
    if (this.offset < this.#start || this.offset + length > this.#start + this.#page.length) {
      this.#start = this.offset;
      this.#page = this.source.read(this.offset, Math.min(PAGE, this.remaining));
      const { buffer, byteOffset, byteLength } = this.#page;
      this.#view = new DataView(buffer, byteOffset, byteLength);
      this.#text = textOf(this.#page);
    }
    this.#index = this.offset - this.#start;
    this.offset += length;
    return this.#view;
  }
}

/** The next multiple of `alignment` (any positive integer); exact up to 2^53, unlike a bit mask. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
