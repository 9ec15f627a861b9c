import { badInput } from "../../../formats/errors.js";
import type { ImatrixEntry } from "../../../formats/imatrix/imatrix.js";
import { t } from "../../language/t.js";
import { type InputPlan, squaresLength } from "../../net/inputs.js";
import type { LayerSquares } from "../../net/squares.js";

/** What is done: the sums of the first `chunks` chunks, of every layer and input, one after the other. */
export interface Sums {
  readonly chunks: number;
  readonly sums: Float64Array;
}

interface LayerTotal {
  readonly inputs: ReadonlyMap<string, InputPlan>;
  /** Parts of the common array. */
  readonly sums: ReadonlyMap<string, Float64Array>;
  /** By their first chunk, what came before its turn. */
  readonly waiting: Map<number, readonly [count: number, squares: LayerSquares]>;
  /** Chunks that are added. */
  chunks: number;
}

/** Adds up chunks, which come in any order, in theirs. */
export class Totals {
  readonly #model: string;
  readonly #sums: Float64Array;
  readonly #layers: readonly LayerTotal[];

  /**
   * @param model what to call it in errors
   * @param inputs of each layer
   */
  constructor(model: string, inputs: readonly ReadonlyMap<string, InputPlan>[], start: Sums | undefined) {
    const columns = inputs.flatMap((each) => [...each.values()].map(squaresLength));
    this.#model = model;
    this.#sums = start?.sums ?? new Float64Array(columns.reduce((sum, count) => sum + count, 0));
    let end = 0;
    const take = (count: number) => {
      end += count;
      return this.#sums.subarray(end - count, end);
    };
    this.#layers = inputs.map((each) => ({
      inputs: each,
      sums: new Map([...each].map(([input, plan]) => [input, take(squaresLength(plan))])),
      waiting: new Map(),
      chunks: start?.chunks ?? 0,
    }));
  }

  /** Valid while no layer is ahead of another. */
  get state(): Sums {
    return { chunks: this.#layers[0]!.chunks, sums: this.#sums };
  }

  /** @throws LlqError `bad-input` when the model gave no finite number */
  add(layer: number, chunk: number, count: number, squares: LayerSquares): void {
    const total = this.#layers[layer]!;
    total.waiting.set(chunk, [count, squares]);
    for (;;) {
      const next = total.waiting.get(total.chunks);
      if (next === undefined) return;
      total.waiting.delete(total.chunks);
      this.#addChunks(total, ...next);
      total.chunks += next[0];
    }
  }

  #addChunks({ inputs, sums, chunks }: LayerTotal, count: number, squares: LayerSquares): void {
    for (const [input, added] of squares) {
      const total = sums.get(input)!;
      for (let i = 0; i < added.length; i++) total[i % total.length]! += added[i]!;
      // The file has f32: what is infinite there is of no use.
      if (total.every((sum) => Number.isFinite(Math.fround(sum)))) continue;
      const { name } = inputs.get(input)!.matrices[0]!.weight;
      const message = t`${this.#model}: chunks ${chunks + 1} to ${chunks + count}: what goes into ${name} is not finite`;
      throw badInput(message, t`weights are damaged, or too large for f32 arithmetic`);
    }
  }

  /** By the names of the matrices. */
  entries(context: number): Map<string, ImatrixEntry> {
    const entries = new Map<string, ImatrixEntry>();
    for (const { inputs, sums, chunks } of this.#layers) {
      for (const [input, plan] of inputs) {
        const entry = entryOf(plan, sums.get(input)!, chunks * context);
        for (const { weight } of plan.matrices) entries.set(weight.name, entry);
      }
    }
    return entries;
  }
}

/** What a file says of an input: `all` are its sums, of experts followed by their tokens. @param tokens that were run */
export function entryOf(
  { columns, experts }: Pick<InputPlan, "columns" | "experts">,
  all: Float64Array,
  tokens: number,
): ImatrixEntry {
  if (experts === 0) return { sums: all, counts: [tokens] };
  return { sums: all.subarray(0, experts * columns), counts: [...all.subarray(experts * columns)] };
}
