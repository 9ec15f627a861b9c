import type { Kernels } from "../run/kernels.js";
import type { LayerPlan, Linear } from "./decoder.js";
import type { Span } from "./span.js";

/** What goes into the matrices of a block, by where it comes from or goes to. */
export type LayerInput = "attn_norm" | "attn_output" | "ffn_norm" | "ffn_down";

/** The matrices of a block, by what goes into them. */
export function inputsOf({ attention, feedForward }: LayerPlan): ReadonlyMap<LayerInput, readonly Linear[]> {
  const { gate, up, down } = feedForward;
  return new Map([
    ["attn_norm", [attention.q, attention.k, attention.v]],
    ["attn_output", [attention.output]],
    ["ffn_norm", gate === undefined ? [up] : [gate, up]],
    ["ffn_down", [down]],
  ]);
}

/** [chunks][columns]: sum of the squares of each input's columns over the tokens of each of a job's chunks. */
export type LayerSquares = ReadonlyMap<LayerInput, Float64Array>;

/** Adds up the squares of the inputs that pass by, each chunk for itself and token after token. */
export class Squares {
  readonly result = new Map<LayerInput, Float64Array>();
  readonly #kernels: Kernels;
  readonly #span: Span;
  /** Tokens of each input that have passed. */
  readonly #seen = new Map<LayerInput, number>();

  constructor(kernels: Kernels, span: Span) {
    this.#kernels = kernels;
    this.#span = span;
  }

  /** Takes the span's next tokens, [tokens][columns] at `x`. */
  add(input: LayerInput, x: number, tokens: number, columns: number): void {
    const { chunks, context } = this.#span;
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
