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
import { expand_bytes } from "./expand/bytes";
import { expand_words } from "./expand/words";
import {
  IQ4_NL,
  lean_block_size,
  lean_length,
  lean_size,
  MXFP4,
  min_length,
  mins_at,
  part_at,
  part_blocks,
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
  TERNARY,
  UNIT,
  zero_of,
} from "./layout";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "./quants";
import { Of32, Of256, takes_words } from "./row";
import { d_high, d_low, half_bits, half_infinity, infinity, two_112 } from "./scales";

/** The units that stand for 0 in packed weights: quants are moved until it is a whole number, or not at all (../gemm/pack). */
export function units_of(type: i32, form: i32): i32 {
  const unit = zero_unit(form);
  return unit === 0 || type === Q5_1 ? 0 : max((zero_of(type) + unit - 1) / unit, 1);
}

/** `rows` rows of `k` weights at `w`, to `dst`: weights_size bytes. */
export function expand_lean(type: i32, form: i32, w: usize, rows: usize, k: usize, dst: usize): void {
  store_header(dst, form, rows, k, units_of(type, form), min_length(type));
  dst += HEADER_SIZE;
  const blocks = k / lean_length(type);
  const all = (rows + ROWS - 1) / ROWS;
  for (let panel: usize = 0; panel < all; panel++) {
    const first = panel - (panel % UNIT);
    const panels = min(all - first, UNIT);
    const unit = w + lean_size(type, first * ROWS, k);
    const mins = dst + blocks * weights_block_size(form);
    for (let b: usize = 0; b < blocks; b += part_blocks(type)) {
      const from = unit + part_at(type, panel - first, panels, b, blocks);
      const count = min(part_blocks(type), blocks - b);
      expand_quants(type, form, from, dst + b * weights_block_size(form), count);
    }
    expand_mins(type, unit + mins_at(type, panel - first, panels, blocks), mins, blocks);
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

/** The mins of `blocks` blocks of a panel, which are at `w`, for types that have them. */
export function expand_mins(type: i32, w: usize, dst: usize, blocks: usize): void {
  if (min_length(type) === 0) return;
  if (type < Q2_K) expand_mins_32(w, dst, blocks);
  else if (type === Q2_K) expand_mins_256<Q2>(w, dst, blocks);
  else expand_mins_256<Q4>(w, dst, blocks);
}

function expand_blocks<K, L>(type: i32, form: i32, w: usize, dst: usize, blocks: usize): void {
  const w_size = lean_block_size(type);
  if (takes_words<K, L>() && quant_size(form) === 2) {
    expand_words<K, L>(w, w_size, zero_of(type), dst, blocks);
  } else if (DOT === 0 || quant_size(form) === 2) unreachable();
  else {
    const shift = units_of(type, form) * zero_unit(form) - zero_of(type);
    expand_bytes<K, L>(w, w_size, shift, form === BYTES_256_16, dst, blocks);
  }
}

function expand_mins_32(w: usize, dst: usize, blocks: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += 16, dst += 32) {
    v128.store(dst, d_low<Q4>(w, c0, c1, c2, c3));
    v128.store(dst, d_high<Q4>(w, c0, c1, c2, c3), 16);
  }
}

function expand_mins_256<K>(w: usize, dst: usize, blocks: usize): void {
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  for (; blocks > 0; blocks--, w += 80) {
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
