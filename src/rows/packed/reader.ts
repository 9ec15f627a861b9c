import type { TensorSource } from "../../../formats/container.js";
import { byteLength } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { rowLength } from "../../tensor.js";
import { type Descriptors, readSourceRows, readStored } from "../stored.js";

/** Rows `first` to `first + count` of a coded source at `dst`, in its `dtype`. */
type Decode = (reader: Reader, source: TensorSource, first: number, count: number, dst: number) => void;

/** Reads the sources that a coded one is made of. */
export class Reader {
  readonly kernels: Kernels;
  readonly files: Descriptors;
  /** The tensor's, for messages. */
  readonly name: string;
  readonly #decode: Decode;

  constructor(kernels: Kernels, files: Descriptors, name: string, decode: Decode) {
    this.kernels = kernels;
    this.files = files;
    this.name = name;
    this.#decode = decode;
  }

  /** Rows of any source as f32 at `dst`. */
  f32(source: TensorSource, first: number, count: number, dst: number): void {
    if (source.coded !== undefined && source.dtype === "F32") {
      this.#decode(this, source, first, count, dst);
      return;
    }
    const { kernels, files, name } = this;
    const pitch = byteLength(source.dtype, [rowLength(source)]);
    const mark = kernels.mark();
    const raw = kernels.reserve(count * pitch);
    const memory = () => kernels.bytes(0, kernels.memory.buffer.byteLength);
    if (source.coded !== undefined) this.#decode(this, source, first, count, raw);
    else readSourceRows(files[source.file]!, source, first, count, { memory, at: raw, pitch, name });
    kernels.toF32(source.dtype, raw, dst, count * rowLength(source));
    kernels.reset(mark);
  }

  /** The same in an array of its own. */
  floats(source: TensorSource, first: number, count: number): Float32Array {
    const { kernels } = this;
    const mark = kernels.mark();
    const n = count * rowLength(source);
    const address = kernels.reserve(n * 4);
    this.f32(source, first, count, address);
    const values = kernels.floats(address, n).slice();
    kernels.reset(mark);
    return values;
  }

  /** Bytes of a source from its byte `start` on: a view of scratch memory, void after the next reservation. */
  bytes(source: TensorSource, start: number, length: number): Uint8Array {
    const { kernels, files, name } = this;
    const bytes = kernels.bytes(kernels.reserve(length), length);
    readStored(files[source.file]!, source, start, length, { memory: () => bytes, name }, 0);
    return bytes;
  }

  /** Rows of 4-byte words: a view of scratch memory, void after the next reservation. */
  words(source: TensorSource, first: number, count: number): Uint32Array {
    const { kernels, files, name } = this;
    const n = count * rowLength(source);
    const address = kernels.reserve(n * 4);
    const bytes = kernels.bytes(address, n * 4);
    const target = { memory: () => bytes, at: 0, pitch: rowLength(source) * 4, name };
    readSourceRows(files[source.file]!, source, first, count, target);
    return new Uint32Array(kernels.memory.buffer, address, n);
  }
}
