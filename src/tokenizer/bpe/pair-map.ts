/** No such pair. */
export const NO_PAIR = -1;

/** Drawn anew by each process, so that no file can be made whose pairs all fall into one place. */
const [FIRST, SECOND, THIRD] = [odd(), odd(), odd()] as const;

function odd(): number {
  return (Math.random() * 2 ** 32) | 1;
}

/** Whole numbers below 2^31 - 1 by pairs of whole numbers from 0 on, of which the first given for a pair stays. Keys lie open, no object a pair. */
export class PairMap {
  #mask: number;
  #size = 0;
  /** left, right, and one more than the value: 0 where there is no pair. */
  #slots: Int32Array;

  /** @param expected about as many pairs as there will be */
  constructor(expected: number) {
    const slots = 2 ** Math.ceil(Math.log2(1.5 * expected + 16));
    this.#mask = slots - 1;
    this.#slots = new Int32Array(3 * slots);
  }

  get(left: number, right: number): number {
    return this.#slots[this.#find(left, right) + 2]! - 1;
  }

  add(left: number, right: number, value: number): void {
    const at = this.#find(left, right);
    if (this.#slots[at + 2] !== 0) return;
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = value + 1;
    if (++this.#size * 1.5 > this.#mask) this.#grow();
  }

  /** Where the pair is, or would be. */
  #find(left: number, right: number): number {
    let hash = Math.imul(left, FIRST) ^ Math.imul(right ^ (left >>> 16), SECOND);
    hash = Math.imul(hash ^ (hash >>> 15), THIRD);
    for (let slot = (hash ^ (hash >>> 13)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 3 * slot;
      if (this.#slots[at + 2] === 0) return at;
      if (this.#slots[at] === left && this.#slots[at + 1] === right) return at;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#mask = 2 * (this.#mask + 1) - 1;
    this.#slots = new Int32Array(3 * (this.#mask + 1));
    this.#size = 0;
    for (let at = 0; at < before.length; at += 3) {
      if (before[at + 2] !== 0) this.add(before[at]!, before[at + 1]!, before[at + 2]! - 1);
    }
  }
}
