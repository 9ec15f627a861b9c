// Lean weights to the layout of ../gemm, byte for byte what pack_<type> makes of the rows as they are stored.
import {
  BYTES_256_16,
  HEADER_SIZE,
  quant_size,
  ROWS,
  weights_block_size,
  weights_panel_size,
  zero_unit,
} from "../gemm/layout";
import { store_header } from "../gemm/multiply";
import {
  d_size,
  IQ4_NL,
  lean_block_size,
  lean_length,
  MXFP4,
  min_length,
  Q2_K,
  Q3_K,
  Q4_0,
  Q4_1,
  Q4_K,
  Q5_0,
  Q5_1,
  Q5_K,
  Q6_K,
  Q8_0,
  quants_size,
  scales_size,
  TERNARY,
  zero_of,
} from "./layout";
import {
  group_size,
  has_high_plane,
  high_mask,
  high_plane,
  Iq4,
  low_bits0,
  low_bits1,
  low_mask,
  Mxfp4,
  move_high,
  Q2,
  Q3,
  Q4,
  Q5,
  Q6,
  Q8,
  quants,
  span_size,
  Trits,
} from "./quants";
import { Of32, Of256 } from "./row";
import {
  d_high,
  d_low,
  half_bits,
  half_infinity,
  infinity,
  scales,
  scales_of_group,
  scales_of_span,
  two_112,
} from "./scales";

/** What is added to a quant, so that a whole number of units stands for 0 (../gemm/pack.ts). */
export function units_of(type: i32, form: i32): i32 {
  const unit = zero_unit(form);
  return unit === 0 ? 0 : max((zero_of(type) + unit - 1) / unit, 1);
}

/** `rows` rows of `k` weights at `w`, to `dst`: weights_size bytes. */
export function expand_lean(type: i32, form: i32, w: usize, rows: usize, k: usize, dst: usize): void {
  store_header(dst, form, rows, k, units_of(type, form), min_length(type));
  dst += HEADER_SIZE;
  const blocks = k / lean_length(type);
  const panel = blocks * lean_block_size(type);
  for (let row: usize = 0; row < rows; row += ROWS, w += panel) {
    expand_quants(type, form, w, dst, blocks);
    expand_mins(type, w, dst + blocks * weights_block_size(form), blocks);
    dst += weights_panel_size(form, k, min_length(type));
  }
}

/** `blocks` blocks of a panel, without mins. */
export function expand_quants(type: i32, form: i32, w: usize, dst: usize, blocks: usize): void {
  if (type === Q4_0 || type === Q4_1) expand_blocks<Q4, Of32>(type, form, w, dst, blocks);
  else if (type === Q5_0 || type === Q5_1) expand_blocks<Q5, Of32>(type, form, w, dst, blocks);
  else if (type === Q8_0) expand_blocks<Q8, Of32>(type, form, w, dst, blocks);
  else if (type === IQ4_NL) expand_blocks<Iq4, Of32>(type, form, w, dst, blocks);
  else if (type === MXFP4) expand_blocks<Mxfp4, Of32>(type, form, w, dst, blocks);
  else if (type === Q2_K) expand_blocks<Q2, Of256>(type, form, w, dst, blocks);
  else if (type === Q3_K) expand_blocks<Q3, Of256>(type, form, w, dst, blocks);
  else if (type === Q4_K) expand_blocks<Q4, Of256>(type, form, w, dst, blocks);
  else if (type === Q5_K) expand_blocks<Q5, Of256>(type, form, w, dst, blocks);
  else if (type === Q6_K) expand_blocks<Q6, Of256>(type, form, w, dst, blocks);
  else if (type === TERNARY) expand_blocks<Trits, Of256>(type, form, w, dst, blocks);
  else expand_blocks<Iq4, Of256>(type, form, w, dst, blocks);
}

/** The mins of `blocks` blocks of a panel, for types that have them. */
export function expand_mins(type: i32, w: usize, dst: usize, blocks: usize): void {
  if (min_length(type) === 0) return;
  w += quants_size(type) + scales_size(type) + d_size(type);
  if (type < Q2_K) expand_mins_32(w, lean_block_size(type), dst, blocks);
  else if (type === Q2_K) expand_mins_256<Q2>(w, lean_block_size(type), dst, blocks);
  else expand_mins_256<Q4>(w, lean_block_size(type), dst, blocks);
}

function expand_blocks<K, L>(type: i32, form: i32, w: usize, dst: usize, blocks: usize): void {
  const w_size = lean_block_size(type);
  if (quant_size(form) === 2) expand_words<K, L>(w, w_size, zero_of(type), dst, blocks);
  else {
    const shift = units_of(type, form) * zero_unit(form) - zero_of(type);
    expand_bytes<K, L>(w, w_size, shift, form === BYTES_256_16, dst, blocks);
  }
}

/** Quants plus `shift`. Their scales follow those of 32 columns, or of 16 (`is_half`). */
function expand_bytes<K, L>(
  w: usize,
  w_size: usize,
  shift: i32,
  is_half: bool,
  dst: usize,
  blocks: usize,
): void {
  const shifts = i8x16.splat(<i8>shift);
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size) {
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    for (let span = w; span < spans_end; span += span_size<K>()) {
      for (let half = 0, p = span; half < 8; half += 4, p += group_size<K>()) {
        let high0 = shifts;
        let high1 = shifts;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), half);
          high1 = move_high<K>(v128.load(high, 16), half);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        v128.store(dst, i8x16.add(quants<K>(low00, high0, 0, mask, mask2), shifts));
        v128.store(dst, i8x16.add(quants<K>(low01, high1, 0, mask, mask2), shifts), 16);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        v128.store(dst, i8x16.add(quants<K>(low10, high0, 1, mask, mask2), shifts), 32);
        v128.store(dst, i8x16.add(quants<K>(low11, high1, 1, mask, mask2), shifts), 48);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        v128.store(dst, i8x16.add(quants<K>(low20, high0, 2, mask, mask2), shifts), 64);
        v128.store(dst, i8x16.add(quants<K>(low21, high1, 2, mask, mask2), shifts), 80);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        v128.store(dst, i8x16.add(quants<K>(low30, high0, 3, mask, mask2), shifts), 96);
        v128.store(dst, i8x16.add(quants<K>(low31, high1, 3, mask, mask2), shifts), 112);
        dst += 128;
        if (idof<L>() === idof<Of32>()) continue;
        if (is_half || half === 4) {
          const eight = scales_or_one<K>(scale, half);
          v128.store(dst, twice_low(eight));
          v128.store(dst, twice_high(eight), 16);
          dst += 32;
        }
        scale += scales_of_group<K>();
      }
      if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) scale += scales_of_span<K>();
    }
    v128.store(dst, d_low<K>(scale, c0, c1, c2, c3));
    v128.store(dst, d_high<K>(scale, c0, c1, c2, c3), 16);
    dst += 32;
  }
}

function scales_or_one<K>(p: usize, half: i32): v128 {
  return idof<K>() === idof<Trits>() ? i16x8.splat(1) : scales<K>(p, half);
}

function twice_low(eight: v128): v128 {
  return i16x8.shuffle(eight, eight, 0, 0, 1, 1, 2, 2, 3, 3);
}

function twice_high(eight: v128): v128 {
  return i16x8.shuffle(eight, eight, 4, 4, 5, 5, 6, 6, 7, 7);
}

/** Quants less `zero`, times their scales. */
function expand_words<K, L>(w: usize, w_size: usize, zero: i32, dst: usize, blocks: usize): void {
  const zeros = i8x16.splat(<i8>zero);
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size) {
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    for (let span = w; span < spans_end; span += span_size<K>()) {
      for (let half = 0, p = span; half < 8; half += 4, p += group_size<K>()) {
        let scale0 = i16x8.splat(1);
        let scale1 = i16x8.splat(1);
        if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) {
          const eight = scales<K>(scale, half);
          scale0 = twice_low(eight);
          scale1 = twice_high(eight);
          scale += scales_of_group<K>();
        }
        let high0 = zeros;
        let high1 = zeros;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), half);
          high1 = move_high<K>(v128.load(high, 16), half);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        store_words(i8x16.sub(quants<K>(low00, high0, 0, mask, mask2), zeros), scale0, dst);
        store_words(i8x16.sub(quants<K>(low01, high1, 0, mask, mask2), zeros), scale1, dst + 16);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        store_words(i8x16.sub(quants<K>(low10, high0, 1, mask, mask2), zeros), scale0, dst + 64);
        store_words(i8x16.sub(quants<K>(low11, high1, 1, mask, mask2), zeros), scale1, dst + 80);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        store_words(i8x16.sub(quants<K>(low20, high0, 2, mask, mask2), zeros), scale0, dst + 128);
        store_words(i8x16.sub(quants<K>(low21, high1, 2, mask, mask2), zeros), scale1, dst + 144);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        store_words(i8x16.sub(quants<K>(low30, high0, 3, mask, mask2), zeros), scale0, dst + 192);
        store_words(i8x16.sub(quants<K>(low31, high1, 3, mask, mask2), zeros), scale1, dst + 208);
        dst += 256;
      }
      if (idof<L>() === idof<Of256>() && idof<K>() !== idof<Trits>()) scale += scales_of_span<K>();
    }
    v128.store(dst, d_low<K>(scale, c0, c1, c2, c3));
    v128.store(dst, d_high<K>(scale, c0, c1, c2, c3), 16);
    dst += 32;
  }
}

/** 4 columns of four rows: columns 0 and 1 of all, and 32 bytes further columns 2 and 3. */
function store_words(q: v128, scale: v128, dst: usize): void {
  const a = i16x8.extend_low_i8x16_s(q);
  const b = i16x8.extend_high_i8x16_s(q);
  v128.store(dst, i16x8.mul(i32x4.shuffle(a, b, 0, 2, 4, 6), scale));
  v128.store(dst, i16x8.mul(i32x4.shuffle(a, b, 1, 3, 5, 7), scale), 32);
}

function expand_mins_32(w: usize, w_size: usize, dst: usize, blocks: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size, dst += 32) {
    v128.store(dst, d_low<Q4>(w, c0, c1, c2, c3));
    v128.store(dst, d_high<Q4>(w, c0, c1, c2, c3), 16);
  }
}

function expand_mins_256<K>(w: usize, w_size: usize, dst: usize, blocks: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += w_size) {
    for (let i: usize = 0; i < 64; i += 16, dst += 32) {
      const mins = v128.load(w + i);
      const low = idof<K>() === idof<Q2>() ? v128.and(mins, i8x16.splat(15)) : mins;
      v128.store(dst, i16x8.extend_low_i8x16_u(low));
      v128.store(dst, i16x8.extend_high_i8x16_u(low), 16);
      if (idof<K>() !== idof<Q2>()) continue;
      const high = i8x16.shr_u(mins, 4);
      v128.store(dst, i16x8.extend_low_i8x16_u(high), 128);
      v128.store(dst, i16x8.extend_high_i8x16_u(high), 144);
    }
    if (idof<K>() === idof<Q2>()) dst += 128;
    v128.store(dst, f32x4.neg(d_low<K>(w + 64, c0, c1, c2, c3)));
    v128.store(dst, f32x4.neg(d_high<K>(w + 64, c0, c1, c2, c3)), 16);
    dst += 32;
  }
}
