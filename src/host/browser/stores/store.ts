import { type FileReader, newFileReader, type SyncAccessHandle } from "./worker-types.js";

// Where the bytes of a file are: each kind reads and writes at once.

export interface Store {
  readonly byteLength: number;
  /** Bytes of [position, position + length) as far as there are any, from `target[offset]` on; how many. */
  read(target: Uint8Array, offset: number, length: number, position: number): number;
  write(bytes: Uint8Array, position: number): number;
  truncate(byteLength: number): void;
  flush(): void;
}

/** An error by the code that the system's own have. */
export class HostError extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(`${code}: ${message}`, { cause });
    this.code = code;
  }
}

/** A part of a file, where it begins. */
export interface Offered {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A file or a part of one that the page was given: read a slice at a time, and never written. */
export class BlobStore implements Store {
  readonly blob: Blob;
  /** What was read last, ahead of what was asked for. */
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;
  #reader: FileReader | undefined;
  #next = 0;
  #ahead = LEAST_AHEAD;

  /** Parts that were read before, for what is being done. */
  #offered: readonly Offered[] = [];

  constructor(blob: Blob) {
    this.blob = blob;
  }

  /** Takes parts that were read already, in the place of those before. */
  offer(parts: readonly Offered[]): void {
    this.#offered = parts;
  }

  get byteLength(): number {
    return this.blob.size;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const end = Math.min(position + length, this.blob.size);
    if (end <= position) return 0;
    const offered = this.#offered.find(
      (part) => position >= part.position && position < part.position + part.bytes.length,
    );
    if (offered !== undefined) {
      const at = position - offered.position;
      const some = offered.bytes.subarray(at, at + end - position);
      target.set(some, offset);
      return some.length;
    }
    const held = position - this.#start;
    if (held < 0 || held >= this.#window.length) this.#fill(position, end);
    const from = position - this.#start;
    const some = this.#window.subarray(from, Math.min(this.#window.length, from + end - position));
    target.set(some, offset);
    return some.length;
  }

  /**
   * Reads on in larger and larger steps, and anew in small ones: each read takes a message to another process. A file that
   * has changed since the page was given it reads as none, which is what a file that ends early is told as.
   */
  #fill(position: number, end: number): void {
    const isNext = position === this.#next;
    this.#ahead = isNext ? Math.min(this.#ahead * 2, MOST_AHEAD) : LEAST_AHEAD;
    const stop = Math.min(this.blob.size, Math.max(end, position + this.#ahead));
    this.#reader ??= newFileReader();
    try {
      this.#window = new Uint8Array(this.#reader.readAsArrayBuffer(this.blob.slice(position, stop)));
    } catch (cause) {
      if (!(cause instanceof DOMException)) throw cause;
      this.#window = new Uint8Array(0);
    }
    this.#start = position;
    this.#next = position + this.#window.length;
  }

  write(): number {
    throw new HostError("EACCES", "a file of the page's is not written");
  }

  truncate(): void {
    this.write();
  }

  flush(): void {}
}

const LEAST_AHEAD = 1 << 18;
const MOST_AHEAD = 1 << 21;

/** Bytes in memory: small files of llq's own, and outputs where there is no disk. */
export class MemoryStore implements Store {
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  byteLength = 0;

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const end = Math.min(position + length, this.byteLength);
    for (let at = position; at < end; ) {
      const piece = this.#pieces[Math.floor(at / PIECE)]!;
      const some = piece.subarray(at % PIECE, Math.min(PIECE, (at % PIECE) + end - at));
      target.set(some, offset + at - position);
      at += some.length;
    }
    return Math.max(0, end - position);
  }

  write(bytes: Uint8Array, position: number): number {
    if (position + bytes.length > this.byteLength) this.truncate(position + bytes.length);
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const some = bytes.subarray(done, done + Math.min(PIECE - (at % PIECE), bytes.length - done));
      this.#pieces[Math.floor(at / PIECE)]!.set(some, at % PIECE);
      done += some.length;
    }
    return bytes.length;
  }

  truncate(byteLength: number): void {
    const count = Math.ceil(byteLength / PIECE);
    try {
      while (this.#pieces.length < count) this.#pieces.push(new Uint8Array(PIECE));
    } catch (cause) {
      throw new HostError("ENOSPC", "no more memory", cause);
    }
    this.#pieces.length = count;
    if (byteLength < this.byteLength) this.#pieces.at(-1)?.fill(0, byteLength - (count - 1) * PIECE);
    this.byteLength = byteLength;
  }

  flush(): void {}

  /** What is in it, as a file. */
  toBlob(): Blob {
    const last = this.byteLength - (this.#pieces.length - 1) * PIECE;
    return new Blob(
      this.#pieces.map((piece, i) => (i < this.#pieces.length - 1 ? piece : piece.subarray(0, last))),
    );
  }
}

const PIECE = 1 << 20;

/** A file of the origin's private file system, which nobody else has open. Every position is given: reads move the cursor. */
export class HandleStore implements Store {
  readonly #handle: SyncAccessHandle;

  constructor(handle: SyncAccessHandle) {
    this.#handle = handle;
  }

  get byteLength(): number {
    return this.#handle.getSize();
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#handle.read(target.subarray(offset, offset + length) as Uint8Array<ArrayBuffer>, {
      at: position,
    });
  }

  /**
   * What the browser says of a write is looked at: without room, Chromium throws nothing but gives -8 as a count of 32 bits
   * without a sign, and off the record browsers may take writes and keep nothing.
   */
  write(bytes: Uint8Array, position: number): number {
    let written: number;
    try {
      written = this.#handle.write(bytes as Uint8Array<ArrayBuffer>, { at: position });
    } catch (cause) {
      throw storageError(cause);
    }
    const isCount = written > 0 && written <= bytes.length;
    if (!isCount && bytes.length > 0) throw new HostError("ENOSPC", "the browser has not written it");
    return written;
  }

  truncate(byteLength: number): void {
    try {
      this.#handle.truncate(byteLength);
    } catch (cause) {
      throw storageError(cause);
    }
    // without room it may have done nothing
    if (this.#handle.getSize() !== byteLength) throw new HostError("ENOSPC", "the browser has not made room");
  }

  flush(): void {
    try {
      this.#handle.flush();
    } catch (cause) {
      throw storageError(cause);
    }
  }
}

/** What a failed write means. */
export function storageError(cause: unknown): HostError {
  const { name = "", message = String(cause) } = cause as { name?: string; message?: string };
  return new HostError(name === "QuotaExceededError" ? "ENOSPC" : "EIO", message, cause);
}

/** An output in a thread that did not open it: what is written is handed to the one that did. */
export class SentStore implements Store {
  readonly byteLength = 0;
  readonly #send: (bytes: Uint8Array, position: number) => void;

  /** @param send to take a copy of the bytes */
  constructor(send: (bytes: Uint8Array, position: number) => void) {
    this.#send = send;
  }

  read(): number {
    throw new HostError("EIO", "an output is read by the thread that has opened it");
  }

  write(bytes: Uint8Array, position: number): number {
    this.#send(bytes, position);
    return bytes.length;
  }

  truncate(): void {
    this.read();
  }

  flush(): void {}
}
