const MULTIPLIER = 6364136223846793005n;
const MASK = (1n << 64n) - 1n;

/**
 * PCG-XSH-RR 64/32 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
 * Number Generation", 2014, section 6.3.1), seeded as its author's pcg32_srandom_r does.
 */
export class Pcg32 {
  #state: bigint;
  readonly #increment: bigint;

  /** @param stream another one for the same seed is another sequence of numbers */
  constructor(seed: bigint, stream: bigint) {
    this.#increment = ((stream << 1n) | 1n) & MASK;
    this.#state = 0n;
    this.next();
    this.#state = (this.#state + seed) & MASK;
    this.next();
  }

  /** A whole number of 32 bits. */
  next(): number {
    const old = this.#state;
    this.#state = (old * MULTIPLIER + this.#increment) & MASK;
    const shifted = Number((((old >> 18n) ^ old) >> 27n) & 0xffffffffn);
    const turn = Number(old >> 59n);
    return ((shifted >>> turn) | (shifted << (-turn & 31))) >>> 0;
  }

  /** A number of 53 bits, at least 0 and below 1. */
  fraction(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}
