import type { Kernels } from "../../../kernels/kernels.js";

/** What a sequence leaves in a layer of Mamba: of some channels. */
export interface RecurrentShape {
  /** A multiple of 4. */
  readonly channels: number;
  /** Numbers that the scan keeps of each channel. */
  readonly states: number;
  /** Tokens that the convolution sees. */
  readonly kernel: number;
}

/** Bytes of a state, exactly. */
export function recurrentBytes({ channels, states, kernel }: RecurrentShape): number {
  return channels * (states + kernel - 1) * 4;
}

/** A layer's state of one sequence, in the kernels' memory until these are reset to before it. */
export class RecurrentState {
  readonly shape: RecurrentShape;
  /** Address of the scan's state [states][channels], for ssm_scan. */
  readonly scan: number;
  /** Address of the convolution's last inputs [kernel - 1][channels], for ssm_conv. */
  readonly conv: number;
  readonly #kernels: Kernels;
  #length = 0;

  /** That of a sequence without tokens. */
  constructor(kernels: Kernels, shape: RecurrentShape) {
    this.shape = shape;
    this.#kernels = kernels;
    this.scan = kernels.reserve(recurrentBytes(shape));
    this.conv = this.scan + shape.states * shape.channels * 4;
    this.reset();
  }

  /** Tokens that it is the state behind. */
  get length(): number {
    return this.#length;
  }

  get #bytes(): Uint8Array {
    return this.#kernels.bytes(this.scan, recurrentBytes(this.shape));
  }

  /** To be said once both kernels have gone over `count` tokens. */
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
