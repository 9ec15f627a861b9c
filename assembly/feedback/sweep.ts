// Error feedback: columns of a matrix are rounded one after the other, and what a column has lost is made up for by those
// that follow. In LDLᵀ form (as LDLQ of arXiv:2307.13304, which gives the codes of GPTQ, arXiv:2210.17323):
//   t_j = w_j + Σ over the columns i done before of (w_i - v_i) · A_ij,   v_j = the grid's value nearest to t_j
// Grids are those of ggml's types, each column's where it stands in its row: v = s · q - o, q whole and from lo to hi, or
// v = s · LEVEL[q]. Rows stand in lanes (lanes.ts); columns are done from the last to the first.
import { IQ4_LEVELS } from "../search/search_32";

/**
 * Some columns of the sweep. w, s, o, e [groups][n][4]: targets, grids, and for what is lost; q the same in bytes, less
 * lo. acc [4 groups][columns]: what the columns done before add. `m` [columns][columns]: row b is A of column b.
 * `scratch`: columns × 16 bytes.
 */
export function sweep_affine(
  w: usize,
  s: usize,
  o: usize,
  e: usize,
  q: usize,
  acc: usize,
  acc_stride: usize,
  m: usize,
  first: i32,
  columns: i32,
  n: i32,
  groups: i32,
  scratch: usize,
  lo: i32,
  hi: i32,
): void {
  const low = f32x4.splat(<f32>lo);
  const high = f32x4.splat(<f32>hi);
  for (let group = 0; group < groups; group++, acc += 4 * acc_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_targets(w + begin * 16, acc, acc_stride, columns, scratch);
    for (let b = <usize>columns; b-- > 0; ) {
      const at = (begin + b) * 16;
      const scale = v128.load(s + at);
      const offset = v128.load(o + at);
      const code = nearest_affine(f32x4.add(v128.load(scratch + b * 16), offset), scale, low, high);
      const value = f32x4.sub(f32x4.mul(scale, code), offset);
      const lost = f32x4.sub(v128.load(w + at), value);
      v128.store(e + at, lost);
      store_codes(q + (begin + b) * 4, i32x4.trunc_sat_f32x4_s(f32x4.sub(code, low)));
      feed_back(lost, m + b * <usize>columns * 4, b, scratch);
    }
  }
}

/** The same on the levels of IQ4_NL and IQ4_XS, which have no offsets. */
export function sweep_iq4(
  w: usize,
  s: usize,
  _o: usize,
  e: usize,
  q: usize,
  acc: usize,
  acc_stride: usize,
  m: usize,
  first: i32,
  columns: i32,
  n: i32,
  groups: i32,
  scratch: usize,
): void {
  for (let group = 0; group < groups; group++, acc += 4 * acc_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_targets(w + begin * 16, acc, acc_stride, columns, scratch);
    for (let b = <usize>columns; b-- > 0; ) {
      const at = (begin + b) * 16;
      const scale = v128.load(s + at);
      const code = nearest_iq4(f32x4.div(v128.load(scratch + b * 16), scale));
      const value = f32x4.mul(scale, value_iq4(code));
      const lost = f32x4.sub(v128.load(w + at), value);
      v128.store(e + at, lost);
      store_codes(q + (begin + b) * 4, code);
      feed_back(lost, m + b * <usize>columns * 4, b, scratch);
    }
  }
}

/** The codes nearest to x, which has the offset already; 0 where there is no scale. */
export function nearest_affine(x: v128, scale: v128, low: v128, high: v128): v128 {
  const level = f32x4.pmax(low, f32x4.pmin(high, f32x4.nearest(f32x4.div(x, scale))));
  return v128.bitselect(f32x4.splat(0), level, f32x4.eq(scale, f32x4.splat(0)));
}

/** The codes of the levels nearest to x, i32. */
export function nearest_iq4(x: v128): v128 {
  let code = i32x4.splat(0);
  for (let i: usize = 1; i < 16; i++) {
    const middle = <f32>(<i32>load<i8>(IQ4_LEVELS + i - 1) + <i32>load<i8>(IQ4_LEVELS + i)) * 0.5;
    code = i32x4.sub(code, f32x4.gt(x, f32x4.splat(middle)));
  }
  return code;
}

/** The levels of codes. */
export function value_iq4(code: v128): v128 {
  const levels = i8x16.swizzle(v128.load(IQ4_LEVELS), code);
  return f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(levels, 24), 24));
}

/** [4][columns], rows `stride` bytes apart, to lanes. */
export function load_lanes(x: usize, stride: usize, columns: i32, y: usize): void {
  for (const end = x + <usize>columns * 4; x < end; x += 4, y += 16) {
    v128.store(
      y,
      f32x4(load<f32>(x), load<f32>(x + stride), load<f32>(x + 2 * stride), load<f32>(x + 3 * stride)),
    );
  }
}

/** scratch[b] = w[b] + what has been fed back so far. */
export function load_targets(w: usize, acc: usize, acc_stride: usize, columns: i32, scratch: usize): void {
  load_lanes(acc, acc_stride, columns, scratch);
  for (const end = scratch + <usize>columns * 16; scratch < end; w += 16, scratch += 16) {
    v128.store(scratch, f32x4.add(v128.load(w), v128.load(scratch)));
  }
}

/** scratch[c] += lost × m[c] for `columns` columns: of the sweep those that are not done yet. */
export function feed_back(lost: v128, m: usize, columns: usize, scratch: usize): void {
  for (const end = m + columns * 4; m < end; m += 4, scratch += 16) {
    v128.store(scratch, f32x4.add(v128.load(scratch), f32x4.mul(lost, v128.load32_splat(m))));
  }
}

/** Codes of four rows, i32, as bytes. */
export function store_codes(q: usize, code: v128): void {
  const bytes = i8x16.shuffle(code, code, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  store<u32>(q, i32x4.extract_lane(bytes, 0));
}
