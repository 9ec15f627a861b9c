// What the tiles of all modules share. The float arithmetic of integer products is here and nowhere else, without
// relaxed operations, so that every module gives the same bits.

/** One tile's kernel: adds `blocks` blocks of the panels `w` and `x` to the 4 tokens × 8 rows of f32 at `y`. */
export type Tile = (x: usize, w: usize, y: usize, blocks: usize, zero: i32) => void;

/** Adds one token's sums of eight rows, times the scales of rows and token, to the floats at `y`. */
export function scale_add(y: usize, sum0: v128, sum1: v128, d0: v128, d1: v128, dx: v128): void {
  const y0 = f32x4.mul(f32x4.convert_i32x4_s(sum0), f32x4.mul(d0, dx));
  const y1 = f32x4.mul(f32x4.convert_i32x4_s(sum1), f32x4.mul(d1, dx));
  v128.store(y, f32x4.add(v128.load(y), y0));
  v128.store(y, f32x4.add(v128.load(y, 16), y1), 16);
}
