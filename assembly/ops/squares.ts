// What an importance matrix is made of.

/**
 * sums[i] += x[i]² for each token, in order; x [tokens][n] f32, sums [n] f64. A square of an f32 is exact in f64,
 * and a sum depends on nothing but its own column.
 */
export function add_squares(x: usize, tokens: i32, n: i32, sums: usize): void {
  const columns = <usize>n;
  const whole = columns & ~3;
  for (let token = 0; token < tokens; token++, x += columns << 2) {
    for (let i: usize = 0; i < whole; i += 4) {
      const v = v128.load(x + (i << 2));
      add_products(sums + (i << 3), f64x2.promote_low_f32x4(v));
      add_products(sums + (i << 3) + 16, f64x2.promote_low_f32x4(i64x2.shuffle(v, v, 1, 1)));
    }
    for (let i = whole; i < columns; i++) {
      const v = <f64>load<f32>(x + (i << 2));
      store<f64>(sums + (i << 3), load<f64>(sums + (i << 3)) + v * v);
    }
  }
}

function add_products(sums: usize, v: v128): void {
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.mul(v, v)));
}
