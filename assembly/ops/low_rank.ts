// Adapters: a product of two narrow matrices added to rows.

/** y[r] += scale * sum over i of b[r][i] * a[i], for `rows` rows of `length`, i below `rank`, in that order. */
export function add_low_rank(
  b: usize,
  a: usize,
  y: usize,
  rows: i32,
  rank: i32,
  length: i32,
  scale: f32,
): void {
  const bytes = <usize>length * 4;
  for (let r = 0; r < rows; r++, y += bytes) {
    let row = a;
    for (let i = 0; i < rank; i++, b += 4, row += bytes) add_scaled(scale * load<f32>(b), row, y, bytes);
  }
}

function add_scaled(factor: f32, x: usize, y: usize, bytes: usize): void {
  const f = f32x4.splat(factor);
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    v128.store(y + at, f32x4.add(v128.load(y + at), f32x4.mul(f, v128.load(x + at))));
  }
  for (; at < bytes; at += 4) store<f32>(y + at, load<f32>(y + at) + factor * load<f32>(x + at));
}
