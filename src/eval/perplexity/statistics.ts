// Means with their standard errors, as llama-perplexity computes them: of all scored tokens, taken as independent.

export interface Estimate {
  readonly value: number;
  /** Standard error. */
  readonly error: number;
}

/** The mean of some values. */
export function mean(values: ArrayLike<number>): Estimate {
  const n = values.length;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    sum += values[i]!;
    squares += values[i]! ** 2;
  }
  const value = sum / n;
  return { value, error: Math.sqrt(Math.max(0, squares / n - value ** 2) / (n - 1)) };
}

/** Covariance of the means of two quantities, value by value. */
export function covarianceOfMeans(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  let sumA = 0;
  let sumB = 0;
  let products = 0;
  for (let i = 0; i < n; i++) {
    sumA += a[i]!;
    sumB += b[i]!;
    products += a[i]! * b[i]!;
  }
  return (products / n - (sumA / n) * (sumB / n)) / (n - 1);
}

/** Root of the mean square. */
export function rootMeanSquare(values: Float64Array): Estimate {
  const squares = mean(values.map((value) => value ** 2));
  const value = Math.sqrt(squares.value);
  return { value, error: value === 0 ? 0 : (0.5 / value) * squares.error };
}

/** How many of `n` there are, as a share, with its binomial error. */
export function share(count: number, n: number): Estimate {
  const value = count / n;
  return { value, error: Math.sqrt((value * (1 - value)) / (n - 1)) };
}

/** The value below which a fraction of the sorted values is, between neighbours by straight line. */
export function percentile(sorted: Float64Array, fraction: number): number {
  const at = fraction * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

/**
 * A t statistic as the z of the same probability, by Wallace's approximation (Annals of Mathematical Statistics 30,
 * 1959): with few samples their spread is itself uncertain, and the tails are heavier.
 */
export function zOfT(t: number, freedom: number): number {
  if (freedom < 1) return 0;
  if (!Number.isFinite(t)) return t;
  const z = ((8 * freedom + 1) / (8 * freedom + 3)) * Math.sqrt(freedom * Math.log1p(t ** 2 / freedom));
  return Math.sign(t) * z;
}

/** A share with the bounds of its 95 % confidence interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Of a normal distribution: 95 % are no farther from its middle, in standard deviations. */
export const Z_95 = 1.959964;

/** How many of `n` there are, by Wilson's score interval (JASA 22, 1927), which holds near 0 and 1 too. */
export function wilsonInterval(count: number, n: number): Interval {
  const z = Z_95;
  const value = count / n;
  const middle = (value + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = ((z / n) * Math.sqrt(n * value * (1 - value) + z ** 2 / 4)) / (1 + z ** 2 / n);
  return { value, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Variance of values that count by their weights. */
export class WeightedVariance {
  #weight = 0;
  #sum = 0;
  #squares = 0;

  add(weight: number, value: number): void {
    this.#weight += weight;
    this.#sum += weight * value;
    this.#squares += weight * value ** 2;
  }

  /** 0 while nothing has weight. */
  value(): number {
    if (this.#weight === 0) return 0;
    return Math.max(0, this.#squares / this.#weight - (this.#sum / this.#weight) ** 2);
  }
}
