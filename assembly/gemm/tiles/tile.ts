// What the tiles of all modules share. The float arithmetic of integer products is here and nowhere else, without
// relaxed operations, so that every module gives the same bits.

/** Four rows' sums of one token, times the scales of rows and token, added to the floats `y`. */
export function add_scaled(y: v128, sum: v128, d: v128, dx: v128): v128 {
  return f32x4.add(y, f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(d, dx)));
}
