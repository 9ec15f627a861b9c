// Eight rows of lean weights times one token: what reads weights as fast as memory gives them.
import { dot_add, pair_ones, whole } from "../gemm/tiles/dot";
import { add_scaled } from "../gemm/tiles/tile";
import {
  group_size,
  has_high_plane,
  high_mask,
  high_plane,
  Iq4,
  low_bits0,
  low_bits1,
  low_mask,
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

/** Lengths of blocks, and the forms of activations. Tags for generic functions. */
export class Of32 {}
export class Of256 {}
export class Bytes {}
export class Words {}

/** A mask for the lower byte of words. */
export const BYTE: usize = memory.data<u32>([0x00ff00ff]);

/**
 * Adds to eight f32 at `y`: `blocks` blocks of `w_size` bytes, times the token at `x` (token.ts). The loop over 4 steps is rolled:
 * of more, V8 may load all before it begins.
 */
export function multiply_row<K, L, F>(x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  let y0 = v128.load(y);
  let y1 = v128.load(y, 16);
  const mask = low_mask<K>();
  const mask2 = high_mask<K>();
  const ones = pair_ones();
  const c0 = half_bits();
  const c1 = half_infinity();
  const c2 = two_112();
  const c3 = infinity();
  const bytes = v128.load32_splat(BYTE);
  for (; blocks > 0; blocks--, w += w_size) {
    let t0 = i32x4.splat(0);
    let t1 = i32x4.splat(0);
    let span = w;
    const spans_end = w + (idof<L>() === idof<Of32>() ? 1 : 8) * span_size<K>();
    let scale = spans_end;
    do {
      let s0 = begin<K, L>(x);
      let s1 = s0;
      if (!is_half<K, L>()) x += begin_size<K, L>(4);
      for (let shift = 0, p = span; shift < 8; shift += 4, p += group_size<K>()) {
        if (is_half<K, L>()) {
          s0 = begin<K, L>(x);
          s1 = s0;
          x += begin_size<K, L>(4);
        }
        let high0 = s0;
        let high1 = s1;
        if (has_high_plane<K>()) {
          const high = high_plane<K>(p, span);
          high0 = move_high<K>(v128.load(high), shift);
          high1 = move_high<K>(v128.load(high, 16), shift);
        }
        const low00 = low_bits0<K>(p, 0, high0);
        const low01 = low_bits1<K>(p, 0, high1);
        const x0 = first<F>(x, 0);
        const z0 = second<F>(x, 0);
        s0 = add_step<F>(s0, quants<K>(low00, high0, 0, mask, mask2), x0, z0, bytes);
        s1 = add_step<F>(s1, quants<K>(low01, high1, 0, mask, mask2), x0, z0, bytes);
        const low10 = low_bits0<K>(p, 1, low00);
        const low11 = low_bits1<K>(p, 1, low01);
        const x1 = first<F>(x, 1);
        const z1 = second<F>(x, 1);
        s0 = add_step<F>(s0, quants<K>(low10, high0, 1, mask, mask2), x1, z1, bytes);
        s1 = add_step<F>(s1, quants<K>(low11, high1, 1, mask, mask2), x1, z1, bytes);
        const low20 = low_bits0<K>(p, 2, low10);
        const low21 = low_bits1<K>(p, 2, low11);
        const x2 = first<F>(x, 2);
        const z2 = second<F>(x, 2);
        s0 = add_step<F>(s0, quants<K>(low20, high0, 2, mask, mask2), x2, z2, bytes);
        s1 = add_step<F>(s1, quants<K>(low21, high1, 2, mask, mask2), x2, z2, bytes);
        const low30 = low_bits0<K>(p, 3, low20);
        const low31 = low_bits1<K>(p, 3, low21);
        const x3 = first<F>(x, 3);
        const z3 = second<F>(x, 3);
        s0 = add_step<F>(s0, quants<K>(low30, high0, 3, mask, mask2), x3, z3, bytes);
        s1 = add_step<F>(s1, quants<K>(low31, high1, 3, mask, mask2), x3, z3, bytes);
        x += step_size<F>() * 4;
        if (!is_half<K, L>()) continue;
        const eight = scales<K>(scale, shift);
        t0 = i32x4.add(t0, i32x4.mul(whole_of<F>(s0, ones), i32x4.extend_low_i16x8_s(eight)));
        t1 = i32x4.add(t1, i32x4.mul(whole_of<F>(s1, ones), i32x4.extend_high_i16x8_s(eight)));
        scale += scales_of_group<K>();
      }
      if (idof<L>() === idof<Of32>() || idof<K>() === idof<Trits>()) {
        t0 = i32x4.add(t0, whole_of<F>(s0, ones));
        t1 = i32x4.add(t1, whole_of<F>(s1, ones));
      } else {
        if (!is_half<K, L>()) {
          const eight = scales<K>(scale, 0);
          t0 = i32x4.add(t0, i32x4.mul(whole_of<F>(s0, ones), i32x4.extend_low_i16x8_s(eight)));
          t1 = i32x4.add(t1, i32x4.mul(whole_of<F>(s1, ones), i32x4.extend_high_i16x8_s(eight)));
        }
        scale += scales_of_span<K>();
      }
      span += span_size<K>();
    } while (idof<L>() === idof<Of256>() && span < spans_end);
    const dx = v128.load32_splat(x);
    x += 4;
    y0 = add_scaled(y0, t0, d_low<K>(scale, c0, c1, c2, c3), dx);
    y1 = add_scaled(y1, t1, d_high<K>(scale, c0, c1, c2, c3), dx);
  }
  v128.store(y, y0);
  v128.store(y, y1, 16);
}

/** Whether sums are for 16 columns only: share_of (token.ts) says the same of types. */
export function is_half<K, L>(): bool {
  if (idof<L>() === idof<Of32>()) return false;
  if (idof<K>() === idof<Q5>()) return DOT === 16;
  return idof<K>() === idof<Q2>() || idof<K>() === idof<Q3>() || idof<K>() === idof<Q6>();
}

/** Whether sums begin with 0, and activations have nothing for that: has_begin (token.ts) says the contrary of types. */
function begins_with_zero<K, L>(): bool {
  if (idof<L>() === idof<Of32>()) return false;
  return idof<K>() === idof<Q2>() || idof<K>() === idof<Q4>() || idof<K>() === idof<Q5>();
}

/** What a sum begins with. */
export function begin<K, L>(x: usize): v128 {
  return begins_with_zero<K, L>() ? i32x4.splat(0) : v128.load32_splat(x);
}

/** Bytes of that, of `size` where there are some. */
export function begin_size<K, L>(size: usize): usize {
  return begins_with_zero<K, L>() ? 0 : size;
}

/** Whether weights meet words in this module (INT8_TYPES in src): the others are left out, as V8 compiles all there is. */
export function takes_words<K, L>(): bool {
  if (DOT === 0 || idof<K>() === idof<Q8>() || idof<K>() === idof<Iq4>()) return true;
  return DOT === 16 && idof<K>() === idof<Q5>() && idof<L>() === idof<Of32>();
}

/** Bytes of a token's 4 columns. */
function step_size<F>(): usize {
  return idof<F>() === idof<Words>() ? 8 : 4;
}

/** Step `i` of a token: 4 columns as bytes, or columns 0 and 2 as words. */
function first<F>(x: usize, i: usize): v128 {
  return v128.load32_splat(x + i * step_size<F>());
}

/** Columns 1 and 3 as words. */
function second<F>(x: usize, i: usize): v128 {
  if (idof<F>() === idof<Words>()) return v128.load32_splat(x + i * 8, 4);
  return i32x4.splat(0);
}

function add_step<F>(sum: v128, q: v128, x: v128, z: v128, byte: v128): v128 {
  if (idof<F>() === idof<Bytes>()) return dot_add(sum, q, x);
  const even = v128.and(q, byte);
  const odd = i16x8.shr_u(q, 8);
  return i32x4.add(i32x4.add(sum, i32x4.dot_i16x8_s(even, x)), i32x4.dot_i16x8_s(odd, z));
}

function whole_of<F>(sum: v128, ones: v128): v128 {
  return idof<F>() === idof<Bytes>() ? whole(sum, ones) : sum;
}
