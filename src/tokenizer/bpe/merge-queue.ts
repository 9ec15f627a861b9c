/** Symbols of one piece of text are fewer: it would have all of the largest text that is read. */
const SPAN = 2 ** 28;
/** A rank is less, so that a number holds both. */
export const MAX_RANK = 2 ** 25;

/**
 * The merges waiting to be made, lowest rank first, the leftmost first among equals: a binary heap of numbers
 * that hold both, `rank * 2^28 + left`.
 */
export class MergeQueue {
  #keys = new Float64Array(256);
  #size = 0;

  push(rank: number, left: number): void {
    if (this.#size === this.#keys.length) {
      const larger = new Float64Array(2 * this.#size);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    const keys = this.#keys;
    const key = rank * SPAN + left;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  /** Takes out the first merge, whose parts rankOf and leftOf give; -1 when there is none. */
  pop(): number {
    if (this.#size === 0) return -1;
    const keys = this.#keys;
    const top = keys[0]!;
    const key = keys[--this.#size]!;
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
    return top;
  }
}

export function rankOf(merge: number): number {
  return Math.floor(merge / SPAN);
}

export function leftOf(merge: number): number {
  return merge - rankOf(merge) * SPAN;
}
