import { zOfT } from "../../src/eval/perplexity/statistics.js";

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Student's t of the differences a - b, chunk by chunk, and the probability of one as far from 0. */
export function pair(a: readonly number[], b: readonly number[]): { readonly t: number; readonly p: number } {
  const differences = a.map((value, i) => value - b[i]!);
  const n = differences.length;
  const squares = differences.reduce((sum, d) => sum + (d - mean(differences)) ** 2, 0);
  const t = mean(differences) / Math.sqrt(squares / (n - 1) / n);
  return { t, p: twoSided(zOfT(t, n - 1)) };
}

/** The probability of a z as far from 0, by the leading terms of its asymptotic expansion: for the far tails. */
function twoSided(z: number): number {
  const x = Math.abs(z);
  if (x < 2) return 1;
  return (2 * Math.exp((-x * x) / 2) * (1 - 1 / x ** 2)) / (x * Math.sqrt(2 * Math.PI));
}
