// Coordinate descent: rows that the sweep (sweep.ts) has rounded, column by column once more, now that all others have
// their codes. With e = w - v what a row loses, H the second moments and g = e · H, its error e H eᵀ is least, as far as column j
// goes, at v_j + g_j / H_jj; the nearest value of the grid is taken, and g follows. No step makes the error larger.
import { feed_back, load_lanes, nearest_affine, nearest_iq4, store_codes, value_iq4 } from "./sweep";

/**
 * Some columns of rows in lanes: w, s, o, e, q as for the sweep, e and q in place. `g` [4 groups][columns] of these columns,
 * rows `g_stride` bytes apart; `h` [columns][columns] of H. Returns whether any code has changed.
 */
export function descend_affine(
  w: usize,
  s: usize,
  o: usize,
  e: usize,
  q: usize,
  g: usize,
  g_stride: usize,
  h: usize,
  first: i32,
  columns: i32,
  n: i32,
  groups: i32,
  scratch: usize,
  lo: i32,
  hi: i32,
): bool {
  const low = f32x4.splat(<f32>lo);
  const high = f32x4.splat(<f32>hi);
  let changes = i32x4.splat(0);
  for (let group = 0; group < groups; group++, g += 4 * g_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_lanes(g, g_stride, columns, scratch);
    for (let b = <usize>columns; b-- > 0; ) {
      const at = (begin + b) * 16;
      const scale = v128.load(s + at);
      const offset = v128.load(o + at);
      const target = best(w, e, at, h + b * <usize>columns * 4, b, scratch);
      const code = nearest_affine(f32x4.add(target, offset), scale, low, high);
      const change = lose(f32x4.sub(f32x4.mul(scale, code), offset), w + at, e + at);
      store_codes(q + (begin + b) * 4, i32x4.trunc_sat_f32x4_s(f32x4.sub(code, low)));
      feed_back(change, h + b * <usize>columns * 4, columns, scratch);
      changes = v128.or(changes, f32x4.ne(change, f32x4.splat(0)));
    }
  }
  return v128.any_true(changes);
}

/** The same on the levels of IQ4_NL and IQ4_XS, which have no offsets. */
export function descend_iq4(
  w: usize,
  s: usize,
  _o: usize,
  e: usize,
  q: usize,
  g: usize,
  g_stride: usize,
  h: usize,
  first: i32,
  columns: i32,
  n: i32,
  groups: i32,
  scratch: usize,
): bool {
  let changes = i32x4.splat(0);
  for (let group = 0; group < groups; group++, g += 4 * g_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_lanes(g, g_stride, columns, scratch);
    for (let b = <usize>columns; b-- > 0; ) {
      const at = (begin + b) * 16;
      const scale = v128.load(s + at);
      const target = best(w, e, at, h + b * <usize>columns * 4, b, scratch);
      const code = nearest_iq4(f32x4.div(target, scale));
      const change = lose(f32x4.mul(scale, value_iq4(code)), w + at, e + at);
      store_codes(q + (begin + b) * 4, code);
      feed_back(change, h + b * <usize>columns * 4, columns, scratch);
      changes = v128.or(changes, f32x4.ne(change, f32x4.splat(0)));
    }
  }
  return v128.any_true(changes);
}

/** v_j + g_j / H_jj */
function best(w: usize, e: usize, at: usize, row: usize, b: usize, scratch: usize): v128 {
  const value = f32x4.sub(v128.load(w + at), v128.load(e + at));
  return f32x4.add(value, f32x4.div(v128.load(scratch + b * 16), v128.load32_splat(row + b * 4)));
}

/** Puts what is lost with a value in its place; returns how much more that is. */
function lose(value: v128, w: usize, e: usize): v128 {
  const lost = f32x4.sub(v128.load(w), value);
  const change = f32x4.sub(lost, v128.load(e));
  v128.store(e, lost);
  return change;
}
