import { hashOn, powersTo } from "./token-index.js";

/** Hashes of a text's first units, for its parts' hashes; no array a text. */
export class Prefixes {
  #hashes = new Int32Array(256);
  #powers = powersTo(256);
  #length = 0;

  take(units: Uint16Array, start: number, end: number): void {
    this.#length = end - start;
    if (this.#length >= this.#hashes.length) {
      this.#hashes = new Int32Array(2 * this.#length);
      this.#powers = powersTo(this.#length);
    }
    let hash = 0;
    for (let i = 0; i < this.#length; i++) {
      hash = hashOn(hash, units[start + i]!);
      this.#hashes[i + 1] = hash;
    }
  }

  left(length: number): number {
    return this.#hashes[length]!;
  }

  right(from: number): number {
    const length = this.#length;
    return (this.#hashes[length]! - Math.imul(this.#hashes[from]!, this.#powers[length - from]!)) | 0;
  }
}
