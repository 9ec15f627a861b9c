// One token of packed activations (../gemm/index.ts) on its own: it takes a quarter of the room, and what depends on the
// type of the weights is worked out once. For each block:
//   for every share_of(type) columns: what their sum begins with, so that zero_of(type) counts as 0 | quants
//   d f32
// As words, a step of 4 columns has columns 0 and 2, then 1 and 3. After the blocks come the sums for mins, as the panel
// has them.
import {
  activations_block_size,
  BYTES_32,
  BYTES_256_16,
  block_length,
  quant_size,
  sums_size,
  zero_unit,
} from "../gemm/layout";
import { lean_length, min_length, Q2_K, Q3_K, Q5_K, Q6_K, zero_of } from "./layout";

/** Columns whose sum begins anew: those that share a scale, or fewer where a sum must fit 16 bits. */
export function share_of(type: i32): usize {
  const isHalf = type === Q2_K || type === Q3_K || type === Q6_K || (DOT === 16 && type === Q5_K);
  return isHalf ? 16 : 32;
}

/** Bytes of a token's blocks. */
export function token_blocks_size(type: i32, form: i32, k: usize): usize {
  const length = lean_length(type);
  return (k / length) * (length * quant_size(form) + (length / share_of(type)) * 4 + 4);
}

/** Bytes of a token, whatever the type of the weights. */
export function token_size(form: i32, k: usize): usize {
  return k * quant_size(form) + k;
}

/** Token `t` of the panel at `x` to `y`. */
export function take_token(type: i32, form: i32, x: usize, t: usize, k: usize, y: usize): void {
  x += t * 4;
  const length = block_length(form);
  const share = share_of(type);
  const size = activations_block_size(form);
  const end = x + (k / length) * size;
  for (; x < end; x += size) {
    // Bytes only have sums.
    let sums = x + 4 * length;
    for (let p = x, i = length; i > 0; i -= share) {
      if (quant_size(form) === 1) {
        store<i32>(y, begin_bytes(type, form, sums, share));
        y = take(p, 4 * share, y + 4);
        sums += share;
        p += 4 * share;
      } else {
        store<i32>(y, take_words(p, 8 * share, y + 4) * -zero_of(type));
        y += 4 + 2 * share;
        p += 8 * share;
      }
    }
    store<i32>(y, load<i32>(x + size - 16));
    y += 4;
  }
  if (min_length(type) === 0) return;
  if (min_length(type) === 16) x += (k / 256) * sums_size(form, 32);
  take(x, (k / length) * sums_size(form, min_length(type)), y);
}

/** Every fourth 32 bits of `size` bytes. Returns where `y` ends. */
function take(x: usize, size: usize, y: usize): usize {
  for (const end = x + size; x < end; x += 16, y += 4) store<i32>(y, load<i32>(x));
  return y;
}

/** What `share` columns begin with; `sums` has their sums, as dot products split them, times minus a unit. */
function begin_bytes(type: i32, form: i32, sums: usize, share: usize): i32 {
  let even: i32 = load<i16>(sums);
  let odd: i32 = load<i16>(sums, 2);
  if (form !== BYTES_32 && share === 32) {
    even += load<i16>(sums, 16);
    odd += load<i16>(sums, 18);
  }
  const unit = form === BYTES_32 ? zero_unit(BYTES_32) : zero_unit(BYTES_256_16);
  even = (even * zero_of(type)) / unit;
  odd = (odd * zero_of(type)) / unit;
  return DOT === 16 ? (even & 0xffff) | (odd << 16) : even + odd;
}

/** Takes steps of words, two times 32 bits each. Returns the sum of them all. */
function take_words(x: usize, size: usize, y: usize): i32 {
  let sum = 0;
  for (const end = x + size; x < end; x += 32, y += 8) {
    const low = load<i32>(x);
    const high = load<i32>(x, 16);
    sum += <i16>low + (low >> 16) + <i16>high + (high >> 16);
    store<i32>(y, (low & 0xffff) | (high << 16));
    store<i32>(y, (low >>> 16) | (high & <i32>0xffff0000), 4);
  }
  return sum;
}
