import { giveBuffer, takeBuffer } from "./buffers.js";

/**
 * Reads parts of a page's file one after the other. Parts that follow each other come from a stream that stays open: a slice for
 * each has Chromium 156 read 330 MB/s of parts of 2 MB, and 660 four at a time; the stream gives 1600.
 */
export class Ahead {
  readonly #blob: Blob;
  #stream: ReadableStreamBYOBReader | undefined;
  /** Where the stream goes on. */
  #position = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** @throws what the browser throws, when the file has changed or is gone, and a RangeError when it ends before */
  read(position: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const next = this.#last.then(() => this.#read(position, byteLength));
    this.#last = next.catch(() => this.#close());
    return next;
  }

  async #read(position: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const gap = position - this.#position;
    if (this.#stream === undefined || gap < 0 || gap > SMALL) {
      if (byteLength <= SMALL) return slice(this.#blob, position, byteLength);
      await this.#close();
      try {
        this.#stream = this.#blob.slice(position).stream().getReader({ mode: "byob" });
      } catch {
        return slice(this.#blob, position, byteLength); // its streams are not of bytes
      }
    } else if (gap > 0) giveBuffer((await this.#next(this.#stream, gap)).buffer);
    const bytes = await this.#next(this.#stream, byteLength);
    this.#position = position + byteLength;
    return bytes;
  }

  async #next(stream: ReadableStreamBYOBReader, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    let bytes = new Uint8Array(takeBuffer(byteLength), 0, byteLength);
    for (let done = 0; done < byteLength; ) {
      reading.add(stream);
      const { value } = await stream.read(bytes.subarray(done)).finally(() => reading.delete(stream));
      if (value === undefined || value.length === 0) throw new RangeError("the file ends before");
      done += value.length;
      bytes = new Uint8Array(value.buffer, 0, byteLength);
    }
    return bytes;
  }

  async #close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.cancel().catch(() => {});
  }
}

/** Readers are held while they read: in Chromium 156 a read may otherwise never be answered. */
const reading = new Set<ReadableStreamBYOBReader>();

/** Bytes of a part that is not worth another stream, and of a gap that is read over rather than have one. */
const SMALL = 1 << 16;

async function slice(blob: Blob, position: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(await blob.slice(position, position + byteLength).arrayBuffer());
  if (bytes.length < byteLength) throw new RangeError("the file ends before");
  return bytes;
}
