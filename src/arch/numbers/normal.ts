/** The error function, by its series: for |x| up to 4, which is as far as its inverse goes in f32. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** By Newton's method, for -1 < y < 1. */
function inverseErf(y: number): number {
  let x = 0;
  for (let i = 0; i < 100; i++) {
    const step = ((erf(x) - y) * Math.sqrt(Math.PI) * Math.exp(x * x)) / 2;
    x -= Math.max(-1, Math.min(1, step));
    if (Math.abs(step) < 1e-15) break;
  }
  return x;
}

/**
 * How many standard deviations above its mean a share of a normal distribution lies below: Φ⁻¹, each step rounded to f32
 * as torch does.
 */
export function normalQuantile(share: number): number {
  if (share <= 0) return Number.NEGATIVE_INFINITY;
  const { fround } = Math;
  return fround(fround(inverseErf(fround(2 * fround(share) - 1))) * Math.SQRT2);
}
