// The other way of expand.ts: weights in the layout of ../gemm, as bytes, to lean ones.

import {
  BYTES_256_16,
  HEADER_SIZE,
  ROWS,
  weights_block_size,
  weights_panel_size,
  zero_unit,
} from "../gemm/layout";
import { f16_of_f32x4 } from "../numbers/f16";
import { units_of } from "./expand";
import {
  IQ4_NL,
  IQ4_XS,
  lean_block_size,
  lean_length,
  lean_mins_size,
  lean_size,
  MXFP4,
  min_length,
  mins_at,
  part_at,
  part_blocks,
  Q2_K,
  Q3_K,
  Q5_0,
  Q5_1,
  Q5_K,
  Q6_K,
  Q8_0,
  quants_size,
  scales_size,
  TERNARY,
  UNIT,
  zero_of,
} from "./layout";
import { high_mask, Iq4, Mxfp4 } from "./quants";

/** Quants of 8 steps, 32 columns. */
const steps = memory.data(256, 16);

/** `rows` rows of `k` weights at `src`, as pack_<type> laid them out in `form`, which is one of bytes. */
export function pack_lean(type: i32, form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  const blocks = k / lean_length(type);
  const shift = units_of(type, form) * zero_unit(form) - zero_of(type);
  src += HEADER_SIZE;
  const all = (rows + ROWS - 1) / ROWS;
  for (let panel: usize = 0; panel < all; panel++) {
    const first = panel - (panel % UNIT);
    const panels = min(all - first, UNIT);
    const unit = dst + lean_size(type, first * ROWS, k);
    let to_mins = unit + mins_at(type, panel - first, panels, blocks);
    let block = src;
    let mins = src + blocks * weights_block_size(form);
    let to: usize = 0;
    for (let b: usize = 0; b < blocks; b++, block += weights_block_size(form)) {
      if (b % part_blocks(type) === 0) to = unit + part_at(type, panel - first, panels, b, blocks);
      pack_quants(type, form, shift, block, to);
      store_d(type, block + weights_block_size(form) - 32, to + quants_size(type) + scales_size(type));
      if (min_length(type) !== 0) mins = pack_mins(type, mins, to_mins);
      to += lean_block_size(type);
      to_mins += lean_mins_size(type);
    }
    src += weights_panel_size(form, k, min_length(type));
  }
}

function pack_quants(type: i32, form: i32, shift: i32, block: usize, dst: usize): void {
  const shifts = i8x16.splat(<i8>shift);
  const spans = lean_length(type) / 32;
  const planes = quants_size(type) / spans;
  let scales = dst + quants_size(type);
  for (let span: usize = 0; span < spans; span++, dst += planes) {
    for (let half: usize = 0; half < 2; half++) {
      for (let i: usize = 0; i < 128; i += 16, block += 16) {
        const q = i8x16.sub(v128.load(block), shifts);
        v128.store(steps + half * 128 + i, number_of(type, q));
      }
      if (spans === 1 || (half === 0 && form !== BYTES_256_16)) continue;
      pack_scales(type, half, block, scales);
      if (type === Q3_K || type === Q6_K) scales += 8;
      block += 32;
    }
    if (type !== Q3_K && type !== Q6_K) scales += 8;
    for (let at: usize = 0; at < 32; at += 16) pack_planes(type, steps + at, dst + at);
  }
}

/** Sixteen levels' numbers, or quants as they are. */
function number_of(type: i32, q: v128): v128 {
  if (type !== IQ4_NL && type !== IQ4_XS && type !== MXFP4) return q;
  const table = type === MXFP4 ? high_mask<Mxfp4>() : high_mask<Iq4>();
  let numbers = i8x16.splat(0);
  // From above, so that of equal levels the first is found.
  for (let n = 15; n >= 0; n--) {
    const number = i8x16.splat(<i8>n);
    numbers = v128.bitselect(number, numbers, i8x16.eq(q, i8x16.swizzle(table, number)));
  }
  return numbers;
}

/** Of each of 8 rows the scale, as i8; where two share a byte, the second half's above. */
function pack_scales(type: i32, half: usize, src: usize, dst: usize): void {
  if (type === TERNARY) return;
  for (let r: usize = 0; r < ROWS; r++) {
    const scale = load<u8>(src + r * 4);
    store<u8>(dst + r, type === Q2_K && half === 1 ? load<u8>(dst + r) | (scale << 4) : scale);
  }
}

/** Half of all steps of 32 columns, 32 bytes apart at `q`, to half of each plane, as far apart (quants.ts). */
function pack_planes(type: i32, q: usize, dst: usize): void {
  if (type === Q8_0) {
    for (let i: usize = 0; i < 256; i += 32)
      v128.store(dst + i, v128.xor(v128.load(q + i), i8x16.splat(-128)));
  } else if (type === Q2_K || type === Q3_K || type === TERNARY) {
    v128.store(dst, gather(q, 4, 0, 2));
    v128.store(dst, gather(q + 128, 4, 0, 2), 32);
    if (type === Q3_K) v128.store(dst, gather(q, 8, 2, 1), 64);
  } else {
    for (let group: usize = 0; group < 2; group++, q += 128) {
      v128.store(dst, gather(q, 2, 0, 4));
      v128.store(dst, gather(q + 64, 2, 0, 4), 32);
      dst += 64;
      if (type !== Q6_K) continue;
      v128.store(dst, gather(q, 4, 4, 2));
      dst += 32;
    }
    if (type === Q5_0 || type === Q5_1 || type === Q5_K) v128.store(dst, gather(q - 256, 8, 4, 1));
  }
}

/** `width` bits from bit `place` up of each of `n` steps, side by side from the bottom. */
function gather(q: usize, n: i32, place: i32, width: i32): v128 {
  const ones = (1 << width) - 1;
  const mask = i8x16.splat(<i8>ones);
  let bytes = i8x16.splat(0);
  for (let i = 0; i < n; i++, q += 32) {
    const bits = v128.and(i16x8.shr_u(v128.load(q), place), mask);
    bytes = v128.or(bytes, i16x8.shl(bits, i * width));
  }
  return bytes;
}

/** Eight scales, which are f16 or powers of 2. */
function store_d(type: i32, src: usize, dst: usize): void {
  if (type !== MXFP4) {
    v128.store(dst, halves(v128.load(src), v128.load(src, 16)));
    return;
  }
  for (let r: usize = 0; r < ROWS; r++) {
    const bits = load<u32>(src + r * 4);
    store<u8>(dst + r, bits >= 0x00800000 ? (bits >> 23) + 1 : bits >> 22);
  }
}

function halves(low: v128, high: v128): v128 {
  return i16x8.narrow_i32x4_u(f16_of_f32x4(low), f16_of_f32x4(high));
}

/** Mins of a block. Returns where the next block's are. */
function pack_mins(type: i32, src: usize, dst: usize): usize {
  if (lean_length(type) === 32) {
    v128.store(dst, halves(v128.load(src), v128.load(src, 16)));
    return src + 32;
  }
  for (let i: usize = 0; i < 64; i += 16, src += 32) {
    let mins = i8x16.narrow_i16x8_u(v128.load(src), v128.load(src, 16));
    if (type === Q2_K)
      mins = v128.or(mins, i8x16.shl(i8x16.narrow_i16x8_u(v128.load(src, 128), v128.load(src, 144)), 4));
    v128.store(dst + i, mins);
  }
  if (type === Q2_K) src += 128;
  v128.store(dst, halves(f32x4.neg(v128.load(src)), f32x4.neg(v128.load(src, 16))), 64);
  return src + 32;
}
