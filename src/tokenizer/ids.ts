/** A growing list of ids, without a box around each. */
export class IdList {
  #ids = new Int32Array(32);
  length = 0;

  push(id: number): void {
    if (this.length === this.#ids.length) this.#grow(this.length + 1);
    this.#ids[this.length++] = id;
  }

  append(ids: Int32Array): void {
    if (this.length + ids.length > this.#ids.length) this.#grow(this.length + ids.length);
    this.#ids.set(ids, this.length);
    this.length += ids.length;
  }

  at(index: number): number | undefined {
    return index < this.length ? this.#ids[index] : undefined;
  }

  toArray(): Int32Array {
    return this.#ids.slice(0, this.length);
  }

  #grow(needed: number): void {
    const larger = new Int32Array(Math.max(needed, 2 * this.#ids.length));
    larger.set(this.#ids);
    this.#ids = larger;
  }
}
