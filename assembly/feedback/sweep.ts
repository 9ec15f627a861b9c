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
      const target = f32x4.add(v128.load(scratch + b * 16), offset);
      const none = f32x4.eq(scale, f32x4.splat(0));
      const level = f32x4.pmax(low, f32x4.pmin(high, f32x4.nearest(f32x4.div(target, scale))));
      const code = v128.bitselect(f32x4.splat(0), level, none);
      const value = f32x4.sub(f32x4.mul(scale, code), offset);
      const lost = f32x4.sub(v128.load(w + at), value);
      v128.store(e + at, lost);
      store_codes(q + (begin + b) * 4, f32x4.sub(code, low));
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
      const x = f32x4.div(v128.load(scratch + b * 16), scale);
      let code = i32x4.splat(0);
      let level = f32x4.splat(<f32>load<i8>(IQ4_LEVELS));
      for (let i: usize = 1; i < 16; i++) {
        const below = <f32>load<i8>(IQ4_LEVELS + i - 1);
        const own = <f32>load<i8>(IQ4_LEVELS + i);
        const above = f32x4.gt(x, f32x4.splat((below + own) * 0.5));
        code = i32x4.sub(code, above);
        level = v128.bitselect(f32x4.splat(own), level, above);
      }
      const value = f32x4.mul(scale, level);
      const lost = f32x4.sub(v128.load(w + at), value);
      v128.store(e + at, lost);
      const bytes = i8x16.shuffle(code, code, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
      store<u32>(q + (begin + b) * 4, i32x4.extract_lane(bytes, 0));
      feed_back(lost, m + b * <usize>columns * 4, b, scratch);
    }
  }
}

/** scratch[b] = w[b] + what has been fed back so far. */
function load_targets(w: usize, acc: usize, acc_stride: usize, columns: i32, scratch: usize): void {
  for (let b: usize = 0; b < <usize>columns; b++) {
    const fed = f32x4(
      load<f32>(acc + b * 4),
      load<f32>(acc + acc_stride + b * 4),
      load<f32>(acc + 2 * acc_stride + b * 4),
      load<f32>(acc + 3 * acc_stride + b * 4),
    );
    v128.store(scratch + b * 16, f32x4.add(v128.load(w + b * 16), fed));
  }
}

/** scratch[c] += lost × m[c] for the `columns` columns that are not done yet. */
function feed_back(lost: v128, m: usize, columns: usize, scratch: usize): void {
  for (const end = m + columns * 4; m < end; m += 4, scratch += 16) {
    v128.store(scratch, f32x4.add(v128.load(scratch), f32x4.mul(lost, v128.load32_splat(m))));
  }
}

function store_codes(q: usize, code: v128): void {
  const whole = i32x4.trunc_sat_f32x4_s(code);
  const bytes = i8x16.shuffle(whole, whole, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  store<u32>(q, i32x4.extract_lane(bytes, 0));
}
