const BITS = 20;

/**
 * Pairs of characters that stand side by side in some piece, as a table of 2^20 hashes. A collision makes
 * `has` true for a pair that no piece has, which costs its caller time and never correctness.
 */
export class Neighbours {
  readonly #seen = new Uint8Array(1 << BITS);

  add(piece: string): void {
    let left: number | undefined;
    for (const character of piece) {
      const right = character.codePointAt(0)!;
      if (left !== undefined) this.#seen[hash(left, right)] = 1;
      left = right;
    }
  }

  has(left: number, right: number): boolean {
    return this.#seen[hash(left, right)] === 1;
  }
}

function hash(left: number, right: number): number {
  return (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> (32 - BITS);
}
