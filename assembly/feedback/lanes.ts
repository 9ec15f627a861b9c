// Rows that stand side by side in lanes: [rows / 4][n][4], as pack_panels4 has them, but with columns in any order.

/** Columns `order` (i32) of `rows` rows of `n` floats to lanes; rows beyond those are zero. */
export function gather_lanes(x: usize, rows: i32, n: i32, order: usize, y: usize): void {
  const stride = <usize>n * 4;
  for (; rows > 0; rows -= 4, x += 4 * stride) {
    for (let b: usize = 0; b < <usize>n; b++, y += 16) {
      const at = x + <usize>load<i32>(order + b * 4) * 4;
      for (let lane = 0; lane < 4; lane++) {
        store<f32>(y + <usize>lane * 4, lane < rows ? load<f32>(at + <usize>lane * stride) : 0);
      }
    }
  }
}

/** The other way: floats in lanes to rows. */
export function scatter_lanes(y: usize, rows: i32, n: i32, order: usize, x: usize): void {
  const stride = <usize>n * 4;
  for (; rows > 0; rows -= 4, x += 4 * stride) {
    for (let b: usize = 0; b < <usize>n; b++, y += 16) {
      const at = x + <usize>load<i32>(order + b * 4) * 4;
      for (let lane = 0; lane < min(rows, 4); lane++) {
        store<f32>(at + <usize>lane * stride, load<f32>(y + <usize>lane * 4));
      }
    }
  }
}

/** The same of bytes. */
export function scatter_bytes(y: usize, rows: i32, n: i32, order: usize, x: usize): void {
  const stride = <usize>n;
  for (; rows > 0; rows -= 4, x += 4 * stride) {
    for (let b: usize = 0; b < <usize>n; b++, y += 4) {
      const at = x + <usize>load<i32>(order + b * 4);
      for (let lane = 0; lane < min(rows, 4); lane++) {
        store<u8>(at + <usize>lane * stride, load<u8>(y + <usize>lane));
      }
    }
  }
}

/** The sum of four lanes, in pairs. */
export function hsum4(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) +
    f32x4.extract_lane(v, 1) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}
