// What error feedback needs of matrix products beyond those of layers: second moments, and products with parts of a
// triangle.
import { bits } from "../gemm/bits";
import { add_tiles, KC } from "../gemm/matmul_f32";
import { add_wide_tiles } from "../gemm/wide_tiles";

/** Rows worked on at a time, as in matmul_f32. */
const ROWS: i32 = 256;

/**
 * Packs columns of x, rows `stride` bytes apart, [k][n], into panels of four columns [k][4]; n is a multiple of 4.
 */
export function pack_columns4(x: usize, stride: usize, k: i32, n: i32, y: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 16) {
    let from = x;
    for (let i = 0; i < k; i++, from += stride, y += 16) v128.store(y, v128.load(from));
  }
}

/** The same into panels of eight columns [k][8]; n is a multiple of 8. */
export function pack_columns8(x: usize, stride: usize, k: i32, n: i32, y: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 32) {
    let from = x;
    for (let i = 0; i < k; i++, from += stride, y += 32) {
      v128.store(y, v128.load(from));
      v128.store(y, v128.load(from, 16), 16);
    }
  }
}

/**
 * y[rows][columns] += Σ over k of x · w: x in panels of 4 rows [k][4], `x_stride` bytes apart, w in panels of 8 columns
 * [k][8], `w_stride` apart, rows of y `y_stride`. Rows are a multiple of 4 and columns of 8. Sums of KC steps are added
 * to y one after the other, so an element's bits depend on its own row, its own column and k alone.
 */
export function add_panels(
  x: usize,
  x_stride: usize,
  w: usize,
  w_stride: usize,
  y: usize,
  y_stride: usize,
  rows: i32,
  columns: i32,
  k: i32,
): void {
  for (let first = 0; first < rows; first += ROWS) {
    const count = min(ROWS, rows - first);
    const from = x + <usize>(first >> 2) * x_stride;
    const to = y + <usize>first * y_stride;
    for (let done = 0; done < k; done += KC) {
      const steps = min(KC, k - done);
      for (let column = 0; column < columns; ) {
        const rows4 = from + <usize>done * 16;
        const panel = w + <usize>(column >> 3) * w_stride + <usize>done * 32;
        if (bits === 256 && column + 8 < columns) {
          add_wide_tiles(rows4, x_stride, panel, w_stride, to + <usize>column * 4, y_stride, steps, count);
          column += 16;
        } else {
          add_tiles(rows4, x_stride, panel, to + <usize>column * 4, y_stride, steps, count);
          column += 8;
        }
      }
    }
  }
}
