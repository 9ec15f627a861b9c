import { inOrder, largest } from "./top.js";

/** Nuclei are looked for among tokens of at least e^-NEAR of the likeliest's probability, before all are sorted. */
const NEAR = 8;

/** The tokens that may come next, with scores that grow with the logarithm of their probabilities. */
export class Candidates {
  readonly #ids: Int32Array;
  readonly #scores: Float64Array;
  /** How many there are. */
  count = 0;

  constructor(vocabSize: number) {
    this.#ids = new Int32Array(vocabSize);
    this.#scores = new Float64Array(vocabSize);
  }

  /** All tokens. */
  reset(logits: Float32Array): void {
    this.#scores.set(logits);
    this.count = logits.length;
    for (let id = 0; id < this.count; id++) this.#ids[id] = id;
  }

  /** In the order they have now. */
  ids(): Int32Array {
    return this.#ids.slice(0, this.count);
  }

  /** Of each, in the same order. */
  probabilities(): Float64Array {
    const weights = this.#weights();
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  }

  /** The one of the highest score; of equals the lowest id. */
  best(): number {
    let best = 0;
    for (let i = 1; i < this.count; i++) {
      const ahead = this.#scores[i]! - this.#scores[best]!;
      if (ahead > 0 || (ahead === 0 && this.#ids[i]! < this.#ids[best]!)) best = i;
    }
    return this.#ids[best]!;
  }

  /** Divides the scores of tokens that came lately, or multiplies those below zero (Keskar et al., CTRL, 2019). */
  penalize(tokens: ReadonlySet<number>, penalty: number): void {
    for (let i = 0; i < this.count; i++) {
      if (!tokens.has(this.#ids[i]!)) continue;
      const score = this.#scores[i]!;
      this.#scores[i] = score > 0 ? score / penalty : score * penalty;
    }
  }

  /** The k of highest score. */
  keepTop(k: number): void {
    if (k < this.count) this.#keep(inOrder(largest(this.#scores, this.count, k), this.#scores));
  }

  /** The fewest that have this share of all probability (nucleus sampling, Holtzman et al., 2019). */
  keepMass(share: number): void {
    const weights = this.#weights();
    const wanted = share * weights.reduce((a, b) => a + b, 0);
    const near = this.#above(this.#maximum() - NEAR);
    const places =
      this.#nucleus(near, weights, wanted) ?? this.#nucleus(this.#above(-Infinity), weights, wanted);
    if (places !== undefined) this.#keep(places);
  }

  /** Those of at least this share of the likeliest's probability (Nguyen et al., 2024). */
  keepNear(share: number): void {
    this.#keep(this.#above(this.#maximum() + Math.log(share)));
  }

  /** Flattens the distribution above 1, sharpens it below. */
  soften(temperature: number): void {
    for (let i = 0; i < this.count; i++) this.#scores[i]! /= temperature;
  }

  /** The token at a point of the line on which each has the length of its probability. @param point at least 0, below 1 */
  draw(point: number): number {
    const weights = this.#weights();
    let left = point * weights.reduce((a, b) => a + b, 0);
    let place = 0;
    for (let i = 0; i < this.count; i++) {
      if (weights[i] === 0) continue;
      place = i;
      left -= weights[i]!;
      if (left < 0) break;
    }
    return this.#ids[place]!;
  }

  /** Probabilities but for a factor; the likeliest has 1. */
  #weights(): Float64Array {
    const max = this.#maximum();
    return this.#scores.slice(0, this.count).map((score) => Math.exp(score - max));
  }

  #maximum(): number {
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.count; i++) max = Math.max(max, this.#scores[i]!);
    return max;
  }

  #above(least: number): Int32Array {
    const places = new Int32Array(this.count);
    let n = 0;
    for (let i = 0; i < this.count; i++) if (this.#scores[i]! >= least) places[n++] = i;
    return places.subarray(0, n);
  }

  /** The likeliest of these places up to the wanted sum; undefined when all of them have less. */
  #nucleus(places: Int32Array, weights: Float64Array, wanted: number): Int32Array | undefined {
    let sum = 0;
    for (const [i, place] of inOrder(places, this.#scores).entries()) {
      sum += weights[place]!;
      if (sum >= wanted) return places.subarray(0, i + 1);
    }
    return undefined;
  }

  #keep(places: Int32Array): void {
    const scores = Float64Array.from(places, (place) => this.#scores[place]!);
    const ids = Int32Array.from(places, (place) => this.#ids[place]!);
    this.#scores.set(scores);
    this.#ids.set(ids);
    this.count = places.length;
  }
}
