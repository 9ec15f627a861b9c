import type { Kernels } from "../kernels/kernels.js";
import { rowLength } from "../tensor.js";
import type { LayerPlan, Linear } from "./plan/decoder.js";
import type { Span } from "./span.js";

/** What goes into the matrices of a block, by where it comes from or goes to. */
export type LayerInput =
  | "attn_norm"
  | "attn_output"
  | "ffn_norm"
  | "ffn_down"
  | "experts"
  | "experts_down"
  | "shared_down"
  | "ssm_in"
  | "ssm_x"
  | "ssm_dt"
  | "ssm_out";

/** The matrices that take an input. Of experts it is those of the first, whose names stand for all. */
export interface InputPlan {
  readonly matrices: readonly Linear[];
  readonly columns: number;
  /** Experts that each get some of the tokens; 0 when all go through all matrices. */
  readonly experts: number;
}

/** The matrices of a block, by what goes into them. */
export function inputsOf(layer: LayerPlan): ReadonlyMap<LayerInput, InputPlan> {
  const inputs = new Map<LayerInput, InputPlan>();
  const set = (input: LayerInput, matrices: readonly (Linear | undefined)[], experts = 0) => {
    const present = matrices.filter((each) => each !== undefined);
    inputs.set(input, { matrices: present, columns: rowLength(present[0]!.weight), experts });
  };
  if (layer.block === "mamba") {
    set("ssm_in", [layer.x, layer.z]);
    set("ssm_x", [layer.step, layer.b, layer.c]);
    set("ssm_dt", [layer.dt]);
    set("ssm_out", [layer.output]);
    return inputs;
  }
  const { attention, feedForward } = layer;
  const { mlp, mixture } = feedForward;
  set("attn_norm", [attention.q, attention.k, attention.v]);
  set("attn_output", [attention.output]);
  if (mlp !== undefined) {
    set("ffn_norm", [mlp.gate, mlp.up]);
    set("ffn_down", [mlp.down]);
  }
  if (mixture !== undefined) {
    const { router, experts, shared, sharedRouter } = mixture;
    const { gate, up, down } = experts[0]!;
    set("ffn_norm", [router, sharedRouter, shared?.gate, shared?.up]);
    set("experts", [gate, up], experts.length);
    set("experts_down", [down], experts.length);
    if (shared !== undefined) set("shared_down", [shared.down]);
  }
  return inputs;
}

/** How many numbers are kept of an input: a sum for each column, of each expert; then the experts' tokens. */
export function squaresLength({ columns, experts }: InputPlan): number {
  return experts === 0 ? columns : experts * (columns + 1);
}

/** [chunks][squaresLength]: sums of squares over the tokens of each of a job's chunks. */
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

  /**
   * Takes what goes into an expert: [tokens.length][columns] at `x`, of these tokens of the span, in order.
   * @param experts how many there are
   */
  addExpert(
    input: LayerInput,
    x: number,
    tokens: readonly number[],
    columns: number,
    expert: number,
    experts: number,
  ): void {
    const { chunks, context } = this.#span;
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
