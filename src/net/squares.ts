import type { Kernels } from "../kernels/kernels.js";
import type { Batch } from "./span.js";

/** [chunks][squaresLength]: sums of squares over the tokens of each of a job's chunks. */
export type LayerSquares = ReadonlyMap<string, Float64Array>;

/** Who looks at what goes into the matrices of a layer, as it passes by. */
export interface InputTap {
  /** The batch's next tokens, [tokens][columns] at `x`. */
  add(input: string, x: number, tokens: number, columns: number): void;
  /** What goes into an expert: [tokens.length][columns] at `x`, of these tokens of the batch, in order. */
  addExpert(
    input: string,
    x: number,
    tokens: readonly number[],
    columns: number,
    expert: number,
    experts: number,
  ): void;
  /** The hidden states x [tokens][width] to which a matrix has added what it makes of the tokens before. */
  added?(x: number, tokens: number): void;
}

/** Adds up the squares of the inputs that pass by, each chunk for itself and token after token. */
export class Squares implements InputTap {
  readonly result = new Map<string, Float64Array>();
  readonly #kernels: Kernels;
  readonly #batch: Batch;
  /** Tokens of each input that have passed. */
  readonly #seen = new Map<string, number>();

  constructor(kernels: Kernels, batch: Batch) {
    this.#kernels = kernels;
    this.#batch = batch;
  }

  /** Takes the batch's next tokens, [tokens][columns] at `x`. */
  add(input: string, x: number, tokens: number, columns: number): void {
    const { chunks, context } = this.#batch;
    const sums = this.result.get(input) ?? new Float64Array(chunks * columns);
    const seen = this.#seen.get(input) ?? 0;
    for (let done = 0; done < tokens; ) {
      const chunk = Math.floor((seen + done) / context);
      const count = Math.min(tokens - done, (chunk + 1) * context - seen - done);
      this.#addTo(sums.subarray(chunk * columns, (chunk + 1) * columns), x + done * columns * 4, count);
      done += count;
    }
    this.result.set(input, sums);
    this.#seen.set(input, seen + tokens);
  }

  /**
   * Takes what goes into an expert: [tokens.length][columns] at `x`, of these tokens of the batch, in order.
   * @param experts how many there are
   */
  addExpert(
    input: string,
    x: number,
    tokens: readonly number[],
    columns: number,
    expert: number,
    experts: number,
  ): void {
    const { chunks, context } = this.#batch;
    const length = experts * (columns + 1);
    const all = this.result.get(input) ?? new Float64Array(chunks * length);
    this.result.set(input, all);
    for (let done = 0; done < tokens.length; ) {
      const chunk = Math.floor(tokens[done]! / context);
      let end = done + 1;
      while (end < tokens.length && Math.floor(tokens[end]! / context) === chunk) end++;
      const sums = all.subarray(chunk * length, (chunk + 1) * length);
      const own = sums.subarray(expert * columns, (expert + 1) * columns);
      this.#addTo(own, x + done * columns * 4, end - done);
      sums[experts * columns + expert]! += end - done;
      done = end;
    }
  }

  #addTo(sums: Float64Array, x: number, tokens: number): void {
    const kernels = this.#kernels;
    const mark = kernels.mark();
    const address = kernels.reserve(sums.byteLength);
    const columns = sums.length;
    new Float64Array(kernels.memory.buffer, address, columns).set(sums);
    kernels.call("add_squares")(x, tokens, columns, address);
    sums.set(new Float64Array(kernels.memory.buffer, address, columns));
    kernels.reset(mark);
  }
}
