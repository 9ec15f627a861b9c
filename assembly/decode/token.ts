// Packed activations (../gemm/index.ts) as lean products take them: what depends on the type of the weights is worked out
// once. Of each four bytes there are those of N tokens side by side: of a panel of four, or of its first token alone. For
// each block:
//   for every share_of(type) columns: what their sum begins with, so that zero_of(type) counts as 0, if has_begin | quants
//   d f32
// As words, a step of 4 columns has columns 0 and 2, then 1 and 3. After the blocks come the sums for mins, as the panel
// has them.
import {
  activations_block_size,
  BYTES_32,
  BYTES_256_16,
  block_length,
  quant_size,
  sums_at,
  sums_size,
  zero_unit,
} from "../gemm/layout";
import { lean_length, min_length, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, zero_of } from "./layout";

/** Numbers of tokens. Tags for generic functions. */
export class One {}
export class Four {}

/** Bytes of a number of N tokens. */
export function unit<N>(): usize {
  return idof<N>() === idof<One>() ? 4 : 16;
}

/** Columns whose sum begins anew: those that share a scale, or fewer where a sum must fit 16 bits. */
export function share_of(type: i32): usize {
  const isHalf = type === Q2_K || type === Q3_K || type === Q6_K || (DOT === 16 && type === Q5_K);
  return isHalf ? 16 : 32;
}

/** Whether sums begin with anything but 0: begins_with_zero in row.ts says the contrary. */
function has_begin(type: i32): bool {
  return type !== Q2_K && type !== Q4_K && type !== Q5_K;
}

/** Bytes of a token's blocks. */
export function token_blocks_size(type: i32, form: i32, k: usize): usize {
  const length = lean_length(type);
  const begins = has_begin(type) ? (length / share_of(type)) * 4 : 0;
  return (k / length) * (length * quant_size(form) + begins + 4);
}

/** Bytes of a token, or more. */
export function token_size(form: i32, k: usize): usize {
  return k * quant_size(form) + k;
}

/** The panel at `x` to `y`. */
export function take_tokens<N>(type: i32, form: i32, x: usize, k: usize, y: usize): void {
  const length = block_length(form);
  const blocks = k / length;
  const sums_of_mins = x + sums_at(form, min_length(type), blocks);
  const share = share_of(type);
  const size = activations_block_size(form);
  for (const end = x + blocks * size; x < end; x += size) {
    // Bytes only have sums.
    let sums = x + 4 * length;
    for (let p = x, i = length; i > 0; i -= share) {
      const begin = y;
      if (has_begin(type)) y += unit<N>();
      if (quant_size(form) === 1) {
        if (has_begin(type)) put<N>(begin, begin_bytes(type, form, sums, share));
        y = take<N>(p, 4 * share, y);
        sums += share;
        p += 4 * share;
      } else {
        const sum = take_words<N>(p, 8 * share, y);
        if (has_begin(type)) put<N>(begin, i32x4.mul(sum, i32x4.splat(-zero_of(type))));
        y += (share / 2) * unit<N>();
        p += 8 * share;
      }
    }
    y = take<N>(x + size - 16, 16, y);
  }
  if (min_length(type) === 0) return;
  take<N>(sums_of_mins, blocks * sums_size(form, min_length(type)), y);
}

function put<N>(y: usize, v: v128): void {
  if (idof<N>() === idof<One>()) v128.store32_lane(y, v, 0);
  else v128.store(y, v);
}

/** `size` bytes of a panel. Returns where `y` ends. */
export function take<N>(x: usize, size: usize, y: usize): usize {
  for (const end = x + size; x < end; x += 16, y += unit<N>()) put<N>(y, v128.load(x));
  return y;
}

/** What `share` columns begin with; `sums` has their sums, as dot products split them, times minus a unit. */
function begin_bytes(type: i32, form: i32, sums: usize, share: usize): v128 {
  const zero = zero_of(type);
  if (zero === 0) return i32x4.splat(0);
  // Both are powers of 2.
  const shift = ctz(form === BYTES_32 ? zero_unit(BYTES_32) : zero_unit(BYTES_256_16)) - ctz(zero);
  const begin = move_sums(v128.load(sums), shift);
  if (form === BYTES_32 || share === 16) return begin;
  const second = move_sums(v128.load(sums, 16), shift);
  return DOT === 16 ? i16x8.add(begin, second) : i32x4.add(begin, second);
}

/** Pairs of sums, added where dot products add them, times 2^-shift. */
function move_sums(pairs: v128, shift: i32): v128 {
  if (DOT === 16) return i16x8.shr_s(pairs, shift);
  const sums = i32x4.dot_i16x8_s(pairs, i16x8.splat(1));
  return shift < 0 ? i32x4.shl(sums, -shift) : i32x4.shr_s(sums, shift);
}

/** Takes `size` bytes of steps of words. Returns their sums. */
function take_words<N>(x: usize, size: usize, y: usize): v128 {
  const one = i16x8.splat(1);
  const lower = i32x4.splat(0xffff);
  let sums = i32x4.splat(0);
  for (const end = x + size; x < end; x += 32, y += 2 * unit<N>()) {
    const low = v128.load(x);
    const high = v128.load(x, 16);
    sums = i32x4.add(sums, i32x4.add(i32x4.dot_i16x8_s(low, one), i32x4.dot_i16x8_s(high, one)));
    put<N>(y, v128.bitselect(low, i32x4.shl(high, 16), lower));
    put<N>(y + unit<N>(), v128.bitselect(i32x4.shr_u(low, 16), high, lower));
  }
  return sums;
}
