// Weights to panels of 8 rows. What differs between block types is how one block is unpacked, see unpack.ts.

import {
  BYTES_256_16,
  block_length,
  HEADER_SIZE,
  mins_size,
  quant_size,
  ROWS,
  weights_block_size,
  zero_unit,
} from "../layout";
import { pack_panels8 } from "../matmul_f32";
import { store_header } from "../multiply";
import { D, DMIN, MINS, SCALES, UNPACKED_SIZE, Unpack } from "./unpack";

/** For quants that stand for themselves and are too large to be moved by a unit. */
export const NO_ZERO: i32 = -1;

/** A block of each row of a panel, and its quants as i16. */
const unpacked = memory.data(8 * 336, 16);
const words = memory.data(8 * 512, 16);
const WORDS_SIZE: usize = 512;

/**
 * `rows` rows of `k` weights, stored at `src` in blocks of `block_size` bytes, to panels at `dst`. The last panel is
 * filled up with its last row. `zero` is the quant that stands for 0, or NO_ZERO; `min_length` quants share a min, none if 0.
 */
export function pack(
  unpack: Unpack,
  block_size: usize,
  zero: i32,
  min_length: usize,
  form: i32,
  src: usize,
  rows: usize,
  k: usize,
  dst: usize,
): void {
  // Quants are moved until a whole number of units stands for 0.
  const unit = zero_unit(form);
  const zero_units = unit === 0 || zero === NO_ZERO ? 0 : max((zero + unit - 1) / unit, 1);
  const shift = zero === NO_ZERO ? 0 : zero_units * unit - zero;
  store_header(dst, form, rows, k, zero_units, min_length);
  const length = block_length(form);
  const row_size = (k / length) * block_size;
  const packed_size = weights_block_size(form);
  let block = dst + HEADER_SIZE;
  for (let first: usize = 0; first < rows; first += ROWS) {
    const last = min(rows - first, ROWS) - 1;
    let mins = block + (k / length) * packed_size;
    for (let at: usize = 0; at < row_size; at += block_size, block += packed_size) {
      for (let r: usize = 0; r < ROWS; r++) {
        unpack(src + (first + min(r, last)) * row_size + at, unpacked + r * UNPACKED_SIZE);
      }
      if (quant_size(form) === 2) pack_words(length, shift, block);
      else pack_bytes(form, length, shift, block);
      gather_rows(D, block + packed_size - 32);
      if (min_length === 0) continue;
      if (length === 256) pack_panels8(unpacked + MINS, UNPACKED_SIZE, 8, 128 / <i32>min_length, mins);
      mins += mins_size(form, min_length);
      gather_rows(DMIN, mins - 32);
    }
    block = mins;
  }
}

/** Quants plus `shift`, as i16, with their scales multiplied in: no product with an activation's sums can overflow 32 bits. */
function pack_words(length: usize, shift: i32, dst: usize): void {
  for (let r: usize = 0; r < ROWS; r++) {
    const row = unpacked + r * UNPACKED_SIZE;
    let y = words + r * WORDS_SIZE;
    for (let i: usize = 0; i < length; i += 8, y += 16) {
      const q = i16x8.add(v128.load8x8_u(row + i), i16x8.splat(<i16>shift));
      const scale: i16 = length === 32 ? 1 : load<i16>(row + SCALES + (i / 16) * 2);
      v128.store(y, i16x8.mul(q, i16x8.splat(scale)));
    }
  }
  pack_panels8(words, WORDS_SIZE, 8, <i32>length / 2, dst);
}

/** Quants plus `shift`; after those that share a scale, the scale of every row, twice as i16. */
function pack_bytes(form: i32, length: usize, shift: i32, dst: usize): void {
  if (shift !== 0) {
    for (let r: usize = 0; r < ROWS; r++) {
      const row = unpacked + r * UNPACKED_SIZE;
      for (let q = row; q < row + length; q += 16)
        v128.store(q, i8x16.add(v128.load(q), i8x16.splat(<i8>shift)));
    }
  }
  const shared: usize = form === BYTES_256_16 ? 16 : 32;
  for (let i: usize = 0; i < length; i += shared) {
    pack_panels8(unpacked + i, UNPACKED_SIZE, 8, <i32>shared / 4, dst);
    dst += shared * ROWS;
    if (length === 32) continue;
    for (let r: usize = 0; r < ROWS; r++, dst += 4) {
      const scale = load<i16>(unpacked + r * UNPACKED_SIZE + SCALES + (i / 16) * 2);
      store<i16>(dst, scale);
      store<i16>(dst, scale, 2);
    }
  }
}

/** The float at `field` of each row's block, side by side at `dst`. */
function gather_rows(field: usize, dst: usize): void {
  for (let r: usize = 0; r < ROWS; r++)
    store<f32>(dst + r * 4, load<f32>(unpacked + r * UNPACKED_SIZE + field));
}
