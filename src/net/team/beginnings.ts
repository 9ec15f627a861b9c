/**
 * The tokens that each sequence holds, to tell what several begin with: its keys and values are the same in all of them, bit
 * for bit.
 */
export class Beginnings {
  readonly #ids: number[][];

  constructor(sequences: number) {
    this.#ids = Array.from({ length: sequences }, () => []);
  }

  append(sequence: number, tokens: Int32Array): void {
    for (const token of tokens) this.#ids[sequence]!.push(token);
  }

  truncate(sequence: number, length: number): void {
    this.#ids[sequence]!.length = length;
  }

  copy(sequence: number, from: number): void {
    this.#ids[sequence] = [...this.#ids[from]!];
  }

  /** How many tokens all of these begin with. */
  sharedBy([first, ...others]: readonly number[]): number {
    const ids = this.#ids[first!]!;
    return others.reduce((shared, sequence) => {
      const own = this.#ids[sequence]!;
      let same = 0;
      while (same < shared && own[same] === ids[same]) same++;
      return same;
    }, ids.length);
  }
}
