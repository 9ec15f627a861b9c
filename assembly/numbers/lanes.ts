// What becomes of many f32 lanes: their sum in f64, their greatest.
import { hmax } from "../search/search";

/** Four floats as two doubles: lane 0 plus lane 2, lane 1 plus lane 3. */
export function sum_f64x2(x: v128): v128 {
  return f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 1)));
}

/** The greatest of `n` floats at `x` and `greatest`. */
export function max_row(x: usize, n: i32, greatest: f32): f32 {
  const end = x + <usize>n * 4;
  let lanes = f32x4.splat(greatest);
  for (; x + 16 <= end; x += 16) lanes = f32x4.pmax(lanes, v128.load(x));
  for (; x < end; x += 4) lanes = f32x4.pmax(lanes, v128.load32_splat(x));
  return hmax(lanes);
}
