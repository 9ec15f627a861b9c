// Double-precision floats, which checkpoints have and nothing of ours writes: to f32, nearest, ties to even.
export const BLOCK_SIZE_F64: i32 = 1;
export const TYPE_SIZE_F64: i32 = 8;

export function dequantize_row_f64(x: usize, y: usize, n: i32): void {
  const end = y + <usize>n * 4;
  for (; y + 16 <= end; x += 32, y += 16) {
    const low = f32x4.demote_f64x2_zero(v128.load(x));
    const high = f32x4.demote_f64x2_zero(v128.load(x, 16));
    v128.store(y, v128.shuffle<i64>(low, high, 0, 2));
  }
  for (; y < end; x += 8, y += 4) store<f32>(y, <f32>load<f64>(x));
}
