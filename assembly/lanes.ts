// Sums of f32 lanes in f64.

/** Four floats as two doubles: lane 0 plus lane 2, lane 1 plus lane 3. */
export function sum_f64x2(x: v128): v128 {
  return f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 1)));
}
