import { largest } from "./top.js";

/** Nuclei are looked for among tokens of this share of the likeliest's probability, before all are sorted. */
const NEAR = 1e-3;

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
    const ids = this.#ids;
    for (let id = 0; id < ids.length; id++) ids[id] = id;
  }

  /** In the order they have now. */
  ids(): Int32Array {
    return this.#ids.slice(0, this.count);
  }

  /** Of each, in the same order. */
  probabilities(): Float64Array {
    const { weights, sum } = this.#weigh();
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
    const ids = this.#ids.subarray(0, this.count);
    for (const token of tokens) {
      const place = ids[token] === token ? token : ids.indexOf(token); // where it is while none is left out
      const score = this.#scores[place];
      if (score !== undefined) this.#scores[place] = score > 0 ? score / penalty : score * penalty;
    }
  }

  /** The k of highest score; of equals those that come first. */
  keepTop(k: number): void {
    if (k < this.count) this.#keep(largest(this.#scores, this.count, k));
  }

  /** The fewest that have this share of all probability (nucleus sampling, Holtzman et al., 2019). */
  keepMass(share: number): void {
    const { weights, sum } = this.#weigh();
    const near = weights.filter((weight) => weight >= NEAR).sort();
    const k = heaviest(near, share * sum);
    if (k <= near.length) this.#keep(largest(weights, this.count, k, near[near.length - k]));
    else {
      const all = weights.slice().sort();
      const most = Math.min(heaviest(all, share * sum), all.length);
      this.#keep(largest(weights, this.count, most, all[all.length - most]));
    }
  }

  /** Those of at least this share of the likeliest's probability (Nguyen et al., 2024). */
  keepNear(share: number): void {
    const scores = this.#scores;
    const least = this.#maximum() + Math.log(share);
    const places = new Int32Array(this.count);
    let n = 0;
    for (let i = 0; i < this.count; i++) if (scores[i]! >= least) places[n++] = i;
    this.#keep(places.subarray(0, n));
  }

  /** Flattens the distribution above 1, sharpens it below. */
  soften(temperature: number): void {
    for (let i = 0; i < this.count; i++) this.#scores[i]! /= temperature;
  }

  /** The token at a point of the line on which each has the length of its probability. @param point at least 0, below 1 */
  draw(point: number): number {
    const { weights, sum } = this.#weigh();
    let left = point * sum;
    let place = 0;
    for (let i = 0; i < weights.length && left >= 0; i++) {
      if (weights[i] === 0) continue;
      place = i;
      left -= weights[i]!;
    }
    return this.#ids[place]!;
  }

  /** Probabilities but for a factor, of which the likeliest has 1, and their sum. */
  #weigh(): { weights: Float64Array; sum: number } {
    const scores = this.#scores;
    const max = this.#maximum();
    const weights = new Float64Array(this.count);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] = Math.exp(scores[i]! - max);
    return { weights, sum };
  }

  #maximum(): number {
    const scores = this.#scores;
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.count; i++) if (scores[i]! > max) max = scores[i]!;
    return max;
  }

  /** @param places in rising order */
  #keep(places: Int32Array): void {
    for (const [i, place] of places.entries()) {
      this.#scores[i] = this.#scores[place]!;
      this.#ids[i] = this.#ids[place]!;
    }
    this.count = places.length;
  }
}

/** How many of the largest it takes to reach a sum; one more than there are when all do not. @param weights rising */
function heaviest(weights: Float64Array, wanted: number): number {
  let sum = 0;
  for (let k = 1; k <= weights.length; k++) {
    sum += weights[weights.length - k]!;
    if (sum >= wanted) return k;
  }
  return weights.length + 1;
}
