/**
 * Numbers as Python's `random.Random(seed)` draws them, for few-shot examples that are to be those of lm-evaluation-harness:
 * MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998), and the ways of CPython 3.11's `random` over it.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(624);
  #at = 624;

  /** @param seed a whole number from 0 to 2^32 - 1 */
  constructor(seed: number) {
    this.#seedByArray([seed]);
  }

  /** `sample(items, count)`. @throws RangeError for more than there are */
  sample<T>(items: readonly T[], count: number): T[] {
    const n = items.length;
    if (count > n) throw new RangeError(`${count} of ${n}`);
    const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    if (n > setSize) {
      const chosen = new Set<number>();
      while (chosen.size < count) chosen.add(this.#below(n));
      return [...chosen].map((i) => items[i]!);
    }
    const pool = [...items];
    return Array.from({ length: count }, (_, i) => {
      const j = this.#below(n - i);
      const item = pool[j]!;
      pool[j] = pool[n - i - 1]!;
      return item;
    });
  }

  #below(n: number): number {
    const bits = 32 - Math.clz32(n);
    for (;;) {
      const value = this.#next() >>> (32 - bits);
      if (value < n) return value;
    }
  }

  #seedByArray(key: readonly number[]): void {
    const mt = this.#state;
    mt[0] = 19650218;
    for (let i = 1; i < 624; i++) mt[i] = Math.imul(1812433253, mt[i - 1]! ^ (mt[i - 1]! >>> 30)) + i;
    let i = 1;
    const mixed = (factor: number) => mt[i]! ^ Math.imul(mt[i - 1]! ^ (mt[i - 1]! >>> 30), factor);
    const forward = () => {
      if (++i < 624) return;
      mt[0] = mt[623]!;
      i = 1;
    };
    for (let k = 0; k < Math.max(624, key.length); k++) {
      const j = k % key.length;
      mt[i] = mixed(1664525) + key[j]! + j;
      forward();
    }
    for (let k = 0; k < 623; k++) {
      mt[i] = mixed(1566083941) - i;
      forward();
    }
    mt[0] = 0x80000000;
  }

  #next(): number {
    if (this.#at === 624) this.#twist();
    let y = this.#state[this.#at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const mt = this.#state;
    for (let i = 0; i < 624; i++) {
      const y = (mt[i]! & 0x80000000) | (mt[(i + 1) % 624]! & 0x7fffffff);
      mt[i] = mt[(i + 397) % 624]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#at = 0;
  }
}
