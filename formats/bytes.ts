import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { badInput, LlqError, systemErrorCode } from "./errors.js";

/** Where bytes come from: a file, or a buffer in a test. Offsets are bytes from the start. */
export interface ByteSource {
  /** What to call it in a message. */
  readonly name: string;
  readonly byteLength: number;
  /** Exactly `length` bytes; throws `bad-input` if the source ends before. */
  read(offset: number, length: number): Uint8Array;
}

/** The only thing in formats/ that touches the disk. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly byteLength: number;
  readonly #fd: number;

  /** @throws LlqError `bad-input` when there is no such regular file or it may not be read */
  constructor(path: string) {
    this.name = path;
    try {
      this.#fd = openSync(path, "r");
    } catch (cause) {
      throw openError(path, cause);
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw badInput(`${path}: not a regular file`);
    }
    this.byteLength = stat.size;
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

/** JSON text as a value; @throws LlqError `bad-input` for anything that is not UTF-8 JSON */
export function parseJson(name: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LlqError("bad-input", `${name}: not valid JSON: ${why}`, { cause });
  }
}

function openError(path: string, cause: unknown): LlqError {
  const why: Record<string, string> = {
    ENOENT: "no such file",
    EACCES: "permission denied",
    EISDIR: "is a directory",
    ENAMETOOLONG: "the name is too long",
    ELOOP: "too many symbolic links",
    EMFILE: "too many open files",
  };
  const code = systemErrorCode(cause);
  return new LlqError("bad-input", `${path}: ${why[code ?? ""] ?? `cannot be opened (${code ?? cause})`}`, {
    cause,
  });
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
    this.#bytes = bytes;
  }

  read(offset: number, length: number): Uint8Array {
    if (offset < 0 || length < 0 || offset + length > this.byteLength) throw endsEarly(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }
}

const PAGE = 1 << 20;

/**
 * A cursor over a source, little endian, bounds-checked; pages the source a megabyte at a time so that
 * parsers stay synchronous and straight. Every failure is an LlqError that names the file and the byte.
 */
export class ByteReader {
  readonly source: ByteSource;
  offset: number;
  #page: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#page.buffer);
  #start = 0;

  constructor(source: ByteSource, offset = 0) {
    this.source = source;
    this.offset = offset;
  }

  get remaining(): number {
    return this.source.byteLength - this.offset;
  }

  fail(message: string, hint?: string, at: number = this.offset): never {
    throw badInput(`${this.source.name}: byte ${at}: ${message}`, hint);
  }

  u8(): number {
    return this.#view.getUint8(this.#need(1));
  }
  i8(): number {
    return this.#view.getInt8(this.#need(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#need(2), true);
  }
  i16(): number {
    return this.#view.getInt16(this.#need(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#need(4), true);
  }
  i32(): number {
    return this.#view.getInt32(this.#need(4), true);
  }
  f32(): number {
    return this.#view.getFloat32(this.#need(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#need(8), true);
  }
  bigU64(): bigint {
    return this.#view.getBigUint64(this.#need(8), true);
  }
  bigI64(): bigint {
    return this.#view.getBigInt64(this.#need(8), true);
  }

  /** A 64-bit size or offset; values a double cannot hold are refused. */
  u64(): number {
    const at = this.offset;
    const value = this.bigU64();
    if (value > Number.MAX_SAFE_INTEGER)
      this.fail(`${value} is too large for a size or an offset`, undefined, at);
    return Number(value);
  }

  /** A 64-bit count of items that take at least `itemSize` bytes each: it must fit the bytes left. */
  count(itemSize: number, what: string): number {
    const at = this.offset;
    const value = this.u64();
    if (value * itemSize > this.remaining) {
      this.fail(`${value} ${what} cannot fit the ${this.remaining} bytes left`, "the file is damaged", at);
    }
    return value;
  }

  bytes(length: number): Uint8Array {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    const value =
      length <= PAGE
        ? this.#page.slice(this.#need(length), this.offset - this.#start)
        : this.source.read(this.offset, length);
    if (length > PAGE) this.offset += length;
    return value;
  }

  skip(length: number): void {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    this.offset += length;
  }

  /** Index in the page of the next `length` bytes (at most a page), which are then consumed. */
  #need(length: number): number {
    if (length > this.remaining)
      this.fail(`${length} bytes expected, ${this.remaining} left`, "the file is truncated");
    if (this.offset < this.#start || this.offset + length > this.#start + this.#page.length) {
      this.#start = this.offset;
      this.#page = this.source.read(this.offset, Math.min(PAGE, this.remaining));
      this.#view = new DataView(this.#page.buffer, this.#page.byteOffset, this.#page.byteLength);
    }
    const index = this.offset - this.#start;
    this.offset += length;
    return index;
  }
}

/** Little-endian output that grows as needed. */
export class ByteWriter {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  u8(value: number): void {
    this.#view.setUint8(this.#grow(1), value);
  }
  i8(value: number): void {
    this.#view.setInt8(this.#grow(1), value);
  }
  u16(value: number): void {
    this.#view.setUint16(this.#grow(2), value, true);
  }
  i16(value: number): void {
    this.#view.setInt16(this.#grow(2), value, true);
  }
  u32(value: number): void {
    this.#view.setUint32(this.#grow(4), value, true);
  }
  i32(value: number): void {
    this.#view.setInt32(this.#grow(4), value, true);
  }
  f32(value: number): void {
    this.#view.setFloat32(this.#grow(4), value, true);
  }
  f64(value: number): void {
    this.#view.setFloat64(this.#grow(8), value, true);
  }
  u64(value: number | bigint): void {
    this.#view.setBigUint64(this.#grow(8), BigInt(value), true);
  }
  i64(value: number | bigint): void {
    this.#view.setBigInt64(this.#grow(8), BigInt(value), true);
  }
  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length); // first: growing replaces the array
    this.#bytes.set(value, at);
  }
  /** Zeros up to the next multiple of `alignment`. */
  align(alignment: number): void {
    const at = this.#grow(alignUp(this.length, alignment) - this.length);
    this.#bytes.fill(0, at, this.length);
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #grow(length: number): number {
    const at = this.length;
    this.length += length;
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** The next multiple of `alignment` (any positive integer); exact up to 2^53, unlike a bit mask. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
