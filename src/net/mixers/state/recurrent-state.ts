import type { Kernels } from "../../../kernels/kernels.js";

/** How many floats each part of a state has. */
export type RecurrentShape = readonly number[];

/** Bytes of a state, exactly. */
export function recurrentBytes(parts: RecurrentShape): number {
  return parts.reduce((sum, floats) => sum + floats, 0) * 4;
}

/** The state of one sequence in a layer that keeps as much however many tokens there were, in the kernels' memory until these are reset to before it. */
export class RecurrentState {
  readonly shape: RecurrentShape;
  /** Addresses of the parts. */
  readonly parts: readonly number[];
  readonly #kernels: Kernels;
  #length = 0;

  /** That of a sequence without tokens. */
  constructor(kernels: Kernels, shape: RecurrentShape) {
    this.shape = shape;
    this.#kernels = kernels;
    let end = kernels.reserve(recurrentBytes(shape));
    this.parts = shape.map((floats) => {
      const start = end;
      end += floats * 4;
      return start;
    });
    this.reset();
  }

  /** Tokens that it is the state behind. */
  get length(): number {
    return this.#length;
  }

  get #bytes(): Uint8Array {
    return this.#kernels.bytes(this.parts[0]!, recurrentBytes(this.shape));
  }

  /** To be said once the kernels have gone over `count` tokens. */
  advance(count: number): void {
    this.#length += count;
  }

  reset(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  /** Forgets the tokens from position `length` on, which can be all or none. False, and nothing done, for others. */
  truncate(length: number): boolean {
    if (length === 0) this.reset();
    return length === this.#length;
  }

  /** Takes over another state of the same shape. */
  copyFrom(other: RecurrentState): void {
    this.#bytes.set(other.#bytes);
    this.#length = other.#length;
  }

  /** Another state behind the same tokens, which from then on goes its own way. */
  fork(): RecurrentState {
    const copy = new RecurrentState(this.#kernels, this.shape);
    copy.copyFrom(this);
    return copy;
  }
}
