import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { type Divergence, summarizeDivergence } from "../divergence/kld.js";
import type { ChunkScores } from "./forward.js";

/** What of a chunk's scores is added up. */
type Tallied = Pick<ChunkScores, "nll" | "base">;

/** Means over the scored tokens of a chunk. */
export interface ChunkMeans {
  /** Which of the text's, from 0. */
  readonly chunk: number;
  readonly nll: number;
  readonly base: { readonly nll: number; readonly kld: number; readonly sameTop: number } | undefined;
}

/** Gathers chunks, which come in any order, in the order they were given out. */
export class Tally {
  readonly running: number[] = [];
  readonly means: ChunkMeans[] = [];
  readonly #name: string;
  /** Which chunk of the text each is. */
  readonly #order: readonly number[];
  readonly #chunks: (Tallied | undefined)[];
  #count = 0;
  #sum = 0;
  #squares = 0;

  constructor(name: string, order: readonly number[]) {
    this.#name = name;
    this.#order = order;
    this.#chunks = Array.from({ length: order.length });
  }

  /** @throws LlqError `bad-input` when the model or its base gave no number */
  add(at: number, { nll, base }: Tallied): void {
    const chunk = this.#order[at]!;
    if (!nll.every(Number.isFinite)) {
      const message = t`${this.#name}: chunk ${chunk + 1}: the model's output is not a number`;
      throw badInput(message, t`weights are damaged, or too large for f32 arithmetic`);
    }
    if (base !== undefined && !(base.nll.every(Number.isFinite) && base.kld.every(Number.isFinite))) {
      throw badInput(t`chunk ${chunk + 1}: the base's distributions are not numbers`, t`the base is damaged`);
    }
    this.#chunks[at] = { nll, base };
    for (;;) {
      const next = this.#chunks[this.running.length];
      if (next === undefined) return;
      for (const value of next.nll) {
        this.#sum += value;
        this.#squares += value * value;
      }
      this.#count += next.nll.length;
      this.means.push(meansOf(this.#order[this.running.length]!, next));
      this.running.push(Math.exp(this.#sum / this.#count));
    }
  }

  result() {
    const count = this.#count;
    const nll = this.#sum / count;
    const ppl = Math.exp(nll);
    const variance = Math.max(0, this.#squares / count - nll * nll);
    return {
      ppl,
      error: ppl * Math.sqrt(variance / (count - 1)),
      nll,
      count,
      running: this.running,
      chunkMeans: this.means,
      divergence: this.#divergence(),
    };
  }

  /** Of every scored token, where there is a base. */
  divergences(): Float64Array {
    return join(this.#chunks.slice(0, this.running.length).flatMap((chunk) => chunk?.base?.kld ?? []));
  }

  #divergence(): Divergence | undefined {
    const done = this.#chunks.slice(0, this.running.length);
    const bases = done.flatMap((chunk) => chunk?.base ?? []);
    if (bases.length === 0) return undefined;
    return summarizeDivergence({
      nll: join(done.map((chunk) => chunk!.nll)),
      baseNll: join(bases.map(({ nll }) => nll)),
      kld: join(bases.map(({ kld }) => kld)),
      sameTop: Uint8Array.from(bases.flatMap(({ sameTop }) => [...sameTop])),
    });
  }
}

function meansOf(chunk: number, { nll, base }: Tallied): ChunkMeans {
  return {
    chunk,
    nll: average(nll),
    base: base && { nll: average(base.nll), kld: average(base.kld), sameTop: average(base.sameTop) },
  };
}

function average(values: Float64Array | Uint8Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function join(parts: readonly Float64Array[]): Float64Array {
  const joined = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
