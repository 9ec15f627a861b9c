// Activations to int8, as ggml's CPU backend on x86 quantizes them before a product, in panels of 4 tokens.
//   blocks of 32 (Q8_0, Q8_1): q = x * (127 / amax) to nearest, ties to even; d = amax / 127, rounded to f16
//   blocks of 256 (Q8_K): q = x * s to nearest, d = 1 / s where s = 127 / amax (ggml negates s and with it d)
// Minima are multiplied with sums: in blocks of 32 with d * sum(q) rounded to f16 (Q8_1), in blocks of 256 with d and
// sum(q) as i16, of every 32 and of every 16 quants.

import { whole_i32 } from "../blocks/pack";
import { round_f16 } from "../numbers/f16";
import { absmax32, absmax256 } from "../search/search";
import {
  activations_block_size,
  activations_panel_size,
  BYTES_32,
  BYTES_256_16,
  block_length,
  quant_size,
  sums_size,
  TOKENS,
  zero_unit,
} from "./layout";
import { pack4 } from "./matmul_f32";

/** One block of 4 tokens before it is interleaved: quants, and their sums as i16. */
const quants = memory.data(4 * 512, 16);
const QUANTS_STRIDE: usize = 512;
const sums_of_16 = memory.data(4 * 32, 16);
const sums_of_32 = memory.data(4 * 16, 16);

/** `tokens` rows of `k` floats at `x` to panels at `dst`. The last panel is filled up with its last token. */
export function quantize_activations(form: i32, x: usize, tokens: usize, k: usize, dst: usize): void {
  const panel_size = activations_panel_size(form, k);
  for (let first: usize = 0; first < tokens; first += TOKENS, dst += panel_size) {
    // Token t of the panel is at x + min(t, last) * k * 4.
    const last = min(tokens - first, TOKENS) - 1;
    if (block_length(form) === 32) quantize_panel_32(form, x, k, last, dst);
    else quantize_panel_256(form, x, k, last, dst);
    x += TOKENS * k * 4;
  }
}

function quantize_panel_32(form: i32, x: usize, k: usize, last: usize, dst: usize): void {
  const block_size = activations_block_size(form);
  const width = quant_size(form);
  // A token that is alone is quantized once, and stands for the three others.
  const tokens: usize = last === 0 ? 1 : TOKENS;
  let sums = dst + (k / 32) * block_size;
  for (const end = x + k * 4; x < end; x += 128, dst += block_size, sums += 16) {
    for (let t: usize = 0; t < tokens; t++) {
      const row = x + min(t, last) * k * 4;
      const amax = absmax32(row);
      const d = amax / 127;
      const id: f32 = amax !== 0 ? 127 / amax : 0;
      const q = quants + t * QUANTS_STRIDE;
      const pairs = i32x4.add(
        quantize_16(row, id, q, width),
        quantize_16(row + 64, id, q + 16 * width, width),
      );
      if (form === BYTES_32) store_pair_sums(dst + 128 + t * 4, pairs, zero_unit(BYTES_32));
      store<f32>(dst + block_size - 16 + t * 4, round_f16(d));
      store<f32>(sums + t * 4, round_f16(d * <f32>total(pairs)));
    }
    if (tokens === 1) {
      if (form === BYTES_32) spread(dst + 128);
      spread(dst + block_size - 16);
      spread(sums);
    }
    pack4(quants, stride_of(tokens, QUANTS_STRIDE), 4, 8 * <i32>width, dst, 16);
  }
}

function quantize_panel_256(form: i32, x: usize, k: usize, last: usize, dst: usize): void {
  const block_size = activations_block_size(form);
  const width = quant_size(form);
  const tokens: usize = last === 0 ? 1 : TOKENS;
  let sums_32 = dst + (k / 256) * block_size;
  let sums_16 = sums_32 + (k / 256) * sums_size(form, 32);
  for (const end = x + k * 4; x < end; x += 1024, dst += block_size) {
    for (let t: usize = 0; t < tokens; t++) {
      const row = x + min(t, last) * k * 4;
      const amax = absmax256(row);
      const id: f32 = amax !== 0 ? 127 / amax : 0;
      store<f32>(dst + block_size - 16 + t * 4, amax !== 0 ? 1 / id : 0);
      for (let i: usize = 0; i < 16; i++) {
        const pairs = quantize_16(row + i * 64, id, quants + t * QUANTS_STRIDE + i * 16 * width, width);
        if (width === 1) store_pair_sums(dst + 1024 + i * 16 + t * 4, pairs, zero_unit(BYTES_256_16));
        store<i16>(sums_of_16 + t * 32 + i * 2, <i16>total(pairs));
      }
      const low = i32x4.extadd_pairwise_i16x8_s(v128.load(sums_of_16 + t * 32));
      const high = i32x4.extadd_pairwise_i16x8_s(v128.load(sums_of_16 + t * 32, 16));
      v128.store(sums_of_32 + t * 16, i16x8.narrow_i32x4_s(low, high));
    }
    if (tokens === 1) {
      spread(dst + block_size - 16);
      if (width === 1) for (let i: usize = 0; i < 16; i++) spread(dst + 1024 + i * 16);
    }
    pack4(quants, stride_of(tokens, QUANTS_STRIDE), 4, 64 * <i32>width, dst, 16);
    const d = v128.load(dst + block_size - 16);
    pack4(sums_of_32, stride_of(tokens, 16), 4, 4, sums_32, 16);
    sums_32 += sums_size(form, 32);
    v128.store(sums_32 - 16, d);
    pack4(sums_of_16, stride_of(tokens, 32), 4, 8, sums_16, 16);
    sums_16 += sums_size(form, 16);
    v128.store(sums_16 - 16, d);
  }
}

/** Bytes from one token to the next: all four are the first where it is alone. */
function stride_of(tokens: usize, stride: usize): usize {
  return tokens === 1 ? 0 : stride;
}

/** The 32 bits at `address` four times. */
function spread(address: usize): void {
  v128.store(address, v128.load32_splat(address));
}

/**
 * Sixteen floats at `x` times `id`, rounded, as i8 (`width` 1) or i16 (`width` 2) at `q`. Returns their sums:
 * columns 0, 1, 4, 5, 8, ... in lanes 0 and 2, columns 2, 3, 6, 7, ... in lanes 1 and 3, as dot products split them.
 */
function quantize_16(x: usize, id: f32, q: usize, width: usize): v128 {
  const low = i16x8.narrow_i32x4_s(to_nearest(x, id), to_nearest(x + 16, id));
  const high = i16x8.narrow_i32x4_s(to_nearest(x + 32, id), to_nearest(x + 48, id));
  if (width === 2) {
    v128.store(q, low);
    v128.store(q, high, 16);
  } else v128.store(q, i8x16.narrow_i16x8_s(low, high));
  const one = i16x8.splat(1);
  return i32x4.add(i32x4.dot_i16x8_s(low, one), i32x4.dot_i16x8_s(high, one));
}

function to_nearest(x: usize, id: f32): v128 {
  return whole_i32(f32x4.mul(v128.load(x), f32x4.splat(id)));
}

/** The two sums that `pairs` holds in parts, times minus a unit, as two i16. */
function store_pair_sums(address: usize, pairs: v128, unit: i32): void {
  const sums = i32x4.add(pairs, i64x2.shuffle(pairs, pairs, 1, 0));
  store<i16>(address, <i16>(-unit * i32x4.extract_lane(sums, 0)));
  store<i16>(address, <i16>(-unit * i32x4.extract_lane(sums, 1)), 2);
}

function total(pairs: v128): i32 {
  const sums = i32x4.add(pairs, i64x2.shuffle(pairs, pairs, 1, 0));
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
}
