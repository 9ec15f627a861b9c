// The Cholesky factor L of a symmetric matrix, A = L Lᵀ, tile by tile, and solving with it. All in f32.
import { hsum4 } from "./lanes";

/**
 * L of a tile of `n` rows, `stride` bytes apart, in its place; what is above the diagonal stays. A pivot below `least`,
 * which rounding alone can bring about, counts as that.
 */
export function cholesky_tile(a: usize, stride: usize, n: i32, least: f32): void {
  for (let j = 0; j < n; j++) {
    const row = a + <usize>j * stride;
    const at = row + <usize>j * 4;
    const pivot: f32 = sqrt<f32>(max<f32>(load<f32>(at) - dot(row, row, j), least));
    store<f32>(at, pivot);
    for (let i = j + 1; i < n; i++) {
      const other = a + <usize>i * stride;
      const to = other + <usize>j * 4;
      store<f32>(to, (load<f32>(to) - dot(row, other, j)) / pivot);
    }
  }
}

function dot(a: usize, b: usize, n: i32): f32 {
  let sums = f32x4.splat(0);
  const whole = a + <usize>(n & ~3) * 4;
  const end = a + <usize>n * 4;
  for (; a < whole; a += 16, b += 16) sums = f32x4.add(sums, f32x4.mul(v128.load(a), v128.load(b)));
  let sum = hsum4(sums);
  for (; a < end; a += 4, b += 4) sum += load<f32>(a) * load<f32>(b);
  return sum;
}

/**
 * Solves x · T = x₀ - acc for some columns of rows that stand in lanes, T a triangle with `diagonal` on its diagonal.
 * x [groups][n][4]: columns `first` to `first + columns` of it, in place. acc [4 groups][columns], rows `acc_stride` bytes
 * apart, is what the columns solved before have taken. `m` [columns][columns]: row b has what column b takes from the
 * others. From the first column to the last, or from the last to the first. `scratch`: columns × 16 bytes.
 */
export function solve_panel(
  x: usize,
  acc: usize,
  acc_stride: usize,
  m: usize,
  diagonal: usize,
  first: i32,
  columns: i32,
  n: i32,
  groups: i32,
  backward: i32,
  scratch: usize,
): void {
  for (let group = 0; group < groups; group++, acc += 4 * acc_stride) {
    const own = x + (<usize>group * <usize>n + <usize>first) * 16;
    for (let b: usize = 0; b < <usize>columns; b++) {
      const taken = f32x4(
        load<f32>(acc + b * 4),
        load<f32>(acc + acc_stride + b * 4),
        load<f32>(acc + 2 * acc_stride + b * 4),
        load<f32>(acc + 3 * acc_stride + b * 4),
      );
      v128.store(scratch + b * 16, f32x4.sub(v128.load(own + b * 16), taken));
    }
    for (let step = 0; step < columns; step++) {
      const b = <usize>(backward ? columns - 1 - step : step);
      const value = f32x4.div(v128.load(scratch + b * 16), v128.load32_splat(diagonal + b * 4));
      v128.store(own + b * 16, value);
      let c: usize = backward ? 0 : b + 1;
      const end: usize = backward ? b : <usize>columns;
      for (let at = m + (b * <usize>columns + c) * 4; c < end; c++, at += 4) {
        const to = scratch + c * 16;
        v128.store(to, f32x4.sub(v128.load(to), f32x4.mul(value, v128.load32_splat(at))));
      }
    }
  }
}
