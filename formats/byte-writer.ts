import { alignUp } from "./bytes.js";

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
