/** Numbers that a seed determines on every machine: Marsaglia's xorshift, 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995 || 1;
    for (let i = 0; i < 4; i++) this.u32(); // neighbouring seeds begin alike
  }

  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** In -1..1. */
  float(): number {
    return this.u32() / 2 ** 31 - 1;
  }

  floats(n: number): Float32Array {
    return Float32Array.from({ length: n }, () => this.float());
  }

  /** A whole number in 0..end-1. */
  below(end: number): number {
    return Math.floor((this.u32() / 2 ** 32) * end);
  }

  /** Ids of a vocabulary. */
  ids(n: number, vocabSize: number): number[] {
    return Array.from({ length: n }, () => this.below(vocabSize));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
