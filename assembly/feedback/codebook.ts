// Error feedback on the codebooks of IQ2 and IQ3, whose weights come in groups of eight or four: scale * level * sign, the levels
// of a group together an entry. So columns are done a group at a time. With t what a group's weights should be after what the
// columns done before have lost, the part of the error that no later column can make up for is (t - v) G (t - v)ᵀ, G the group's
// own block of L Lᵀ; signs are those of t, and the entry is the one of all for which that is least.
// Types that store seven signs of eight want an even number of minuses: the weight that it harms least changes its sign.
// A group's columns stand together in a factor's order, as they do in the row. Codes are bytes: the entry in the first two of a
// group, its signs in the third.
import { entries, is_even, LEVELS, open, size } from "./book";
import { feed_back, load_lanes, load_targets } from "./sweep";

/** G of each group of at most 64 columns, f32 [group][8][8]. */
const GRAMS: usize = memory.data(4096, 16);

// Of a group of columns of four rows in lanes: targets, G times them, where they are negative, and what they become.
const T: usize = memory.data(128, 16);
const PULL: usize = memory.data(128, 16);
const MINUS: usize = memory.data(128, 16);
const V: usize = memory.data(128, 16);
const OLD: usize = memory.data(128, 16);
const CODES: usize = memory.data(16, 16);
/** Of the levels: what they are multiplied with, and with the product of two [8][8]. */
const ONCE: usize = memory.data(128, 16);
const TWICE: usize = memory.data(1024, 16);

/** As sweep_affine; row b of `m` has the square of its pivot on the diagonal. `kind`: see open. */
export function sweep_codebook(
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
  kind: i32,
): void {
  open(kind);
  const stride = <usize>columns * 4;
  for (let b: usize = 0; b < <usize>columns; b += size) gram_of_factor(m + b * (stride + 4), stride, gram(b));
  for (let group = 0; group < groups; group++, acc += 4 * acc_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_targets(w + begin * 16, acc, acc_stride, columns, scratch);
    let minuses = i32x4.splat(0);
    for (let b = <usize>columns; b > 0; ) {
      b -= size;
      const at = (begin + b) * 16;
      aim(w + at, m + b * (stride + 4), stride, scratch + b * 16);
      pull(gram(b), T, 0);
      // Of two groups of four the second is free, and the first goes by it.
      const isFree = !is_even || (size === 4 && (b & 4) !== 0);
      const odd = set_signs(isFree ? 0 : gram(b), minuses);
      minuses = size === 4 && isFree ? odd : i32x4.splat(0);
      const scale = v128.load(s + at);
      const entry = choose(gram(b), scale);
      set_values(entry, scale);
      put_entry(entry, i32x4.splat(-1), q + (begin + b) * 4);
      for (let i: usize = 0; i < size; i++) {
        const lost = f32x4.sub(v128.load(w + at + i * 16), v128.load(V + i * 16));
        v128.store(e + at + i * 16, lost);
        feed_back(lost, m + (b + i) * stride, b, scratch);
      }
    }
  }
}

/** As descend_affine, a group at a time; `kind`: see open. */
export function descend_codebook(
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
  kind: i32,
): bool {
  open(kind);
  const stride = <usize>columns * 4;
  let changes = i32x4.splat(0);
  for (let b: usize = 0; b < <usize>columns; b += size)
    gram_of_moments(h + b * (stride + 4), stride, gram(b));
  for (let group = 0; group < groups; group++, g += 4 * g_stride) {
    const begin = <usize>group * <usize>n + <usize>first;
    load_lanes(g, g_stride, columns, scratch);
    for (let b = <usize>columns; b > 0; ) {
      b -= size;
      const at = (begin + b) * 16;
      let minuses = i32x4.splat(0);
      for (let i: usize = 0; i < size; i++) {
        const value = f32x4.sub(v128.load(w + at + i * 16), v128.load(e + at + i * 16));
        const own = f32x4.div(v128.load(scratch + (b + i) * 16), v128.load32_splat(gram(b) + i * 36));
        v128.store(OLD + i * 16, value);
        v128.store(T + i * 16, f32x4.add(value, own));
        minuses = v128.xor(minuses, f32x4.lt(value, f32x4.splat(0)));
      }
      pull(gram(b), OLD, scratch + b * 16);
      set_signs(is_even ? gram(b) : 0, minuses);
      const scale = v128.load(s + at);
      const entry = choose(gram(b), scale);
      set_values(entry, scale);
      const better = f32x4.lt(cost(gram(b), V), cost(gram(b), OLD));
      put_entry(entry, better, q + (begin + b) * 4);
      for (let i: usize = 0; i < size; i++) {
        const value = v128.bitselect(v128.load(V + i * 16), v128.load(OLD + i * 16), better);
        const lost = f32x4.sub(v128.load(w + at + i * 16), value);
        const change = v128.and(better, f32x4.sub(lost, v128.load(e + at + i * 16)));
        v128.store(e + at + i * 16, v128.bitselect(lost, v128.load(e + at + i * 16), better));
        feed_back(change, h + (b + i) * stride, columns, scratch);
      }
      changes = v128.or(changes, better);
    }
  }
  return v128.any_true(changes);
}

/** Where G of the group at column b is. */
function gram(b: usize): usize {
  return GRAMS + (b / size) * 256;
}

/** G = A D Aᵀ of a group, from the factor's rows without their pivots, whose squares D are on the diagonal. */
function gram_of_factor(m: usize, stride: usize, to: usize): void {
  for (let i: usize = 0; i < size; i++) {
    for (let j: usize = 0; j <= i; j++) {
      let sum: f32 = 0;
      for (let c: usize = 0; c <= j; c++) {
        const left: f32 = c === i ? 1 : load<f32>(m + i * stride + c * 4);
        const right: f32 = c === j ? 1 : load<f32>(m + j * stride + c * 4);
        sum += left * load<f32>(m + c * (stride + 4)) * right;
      }
      store<f32>(to + (i * 8 + j) * 4, sum);
      store<f32>(to + (j * 8 + i) * 4, sum);
    }
  }
}

function gram_of_moments(h: usize, stride: usize, to: usize): void {
  for (let i: usize = 0; i < size; i++) memory.copy(to + i * 32, h + i * stride, size * 4);
}

/** T = w + what the group's columns are to make up for, of which `fed` + w has what each would if it were alone. */
function aim(w: usize, m: usize, stride: usize, fed: usize): void {
  for (let i = size; i-- > 0; ) {
    let own = f32x4.sub(v128.load(fed + i * 16), v128.load(w + i * 16));
    for (let j = i + 1; j < size; j++) {
      own = f32x4.sub(own, f32x4.mul(v128.load(T + j * 16), v128.load32_splat(m + j * stride + i * 4)));
    }
    v128.store(T + i * 16, own);
  }
  for (let i: usize = 0; i < size; i++) {
    v128.store(T + i * 16, f32x4.add(v128.load(T + i * 16), v128.load(w + i * 16)));
  }
}

/** PULL = G x, and what is at `more`, if it is anywhere. */
function pull(g: usize, x: usize, more: usize): void {
  for (let i: usize = 0; i < size; i++) {
    let sum = more ? v128.load(more + i * 16) : f32x4.splat(0);
    for (let j: usize = 0; j < size; j++) {
      sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(g + (i * 8 + j) * 4), v128.load(x + j * 16)));
    }
    v128.store(PULL + i * 16, sum);
  }
}

/**
 * MINUS is where T is negative; where there is a `g` their number is made as odd as `odd` says, by the change of sign that harms
 * least. Returns where it is odd.
 */
function set_signs(g: usize, odd: v128): v128 {
  let minuses = i32x4.splat(0);
  let least = f32x4.splat(Infinity);
  let at = i32x4.splat(0);
  for (let i: usize = 0; i < size; i++) {
    const t = v128.load(T + i * 16);
    const minus = f32x4.lt(t, f32x4.splat(0));
    v128.store(MINUS + i * 16, minus);
    minuses = v128.xor(minuses, minus);
    if (!g) continue;
    const harm = f32x4.mul(v128.load32_splat(g + i * 36), f32x4.mul(t, t));
    const less = f32x4.lt(harm, least);
    least = v128.bitselect(harm, least, less);
    at = v128.bitselect(i32x4.splat(<i32>i), at, less);
  }
  if (!g) return minuses;
  const wrong = v128.xor(minuses, odd);
  for (let i: usize = 0; i < size; i++) {
    const turned = v128.and(wrong, i32x4.eq(at, i32x4.splat(<i32>i)));
    v128.store(MINUS + i * 16, v128.xor(v128.load(MINUS + i * 16), turned));
  }
  return odd;
}

/** x, negative where MINUS has it so. */
function signed(x: v128, i: usize): v128 {
  return v128.xor(x, v128.and(v128.load(MINUS + i * 16), f32x4.splat(-0.0)));
}

/** The entries, the first of equals, of the least v G v - 2 v · PULL, v = scale * level with the signs of MINUS. */
function choose(g: usize, scale: v128): v128 {
  for (let i: usize = 0; i < size; i++) {
    v128.store(ONCE + i * 16, signed(f32x4.mul(f32x4.splat(-2), v128.load(PULL + i * 16)), i));
    for (let j: usize = 0; j <= i; j++) {
      const both = f32x4.splat(load<f32>(g + (i * 8 + j) * 4) * (j < i ? 2 : 1));
      v128.store(TWICE + (i * 8 + j) * 16, signed(signed(f32x4.mul(scale, both), i), j));
    }
  }
  let least = f32x4.splat(Infinity);
  let best = i32x4.splat(0);
  for (let entry: usize = 0, levels = LEVELS; entry < entries; entry++, levels += size * 4) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < size; i++) {
      const row = TWICE + i * 128;
      let own = v128.load(ONCE + i * 16);
      for (let j: usize = 0; j <= i; j++) {
        own = f32x4.add(own, f32x4.mul(v128.load(row + j * 16), v128.load32_splat(levels + j * 4)));
      }
      sum = f32x4.add(sum, f32x4.mul(own, v128.load32_splat(levels + i * 4)));
    }
    const less = f32x4.lt(sum, least);
    least = v128.bitselect(sum, least, less);
    best = v128.bitselect(i32x4.splat(<i32>entry), best, less);
  }
  return best;
}

/** V of the entries. */
function set_values(entry: v128, scale: v128): void {
  const first = LEVELS + <usize>i32x4.extract_lane(entry, 0) * size * 4;
  const second = LEVELS + <usize>i32x4.extract_lane(entry, 1) * size * 4;
  const third = LEVELS + <usize>i32x4.extract_lane(entry, 2) * size * 4;
  const fourth = LEVELS + <usize>i32x4.extract_lane(entry, 3) * size * 4;
  for (let i: usize = 0; i < size * 4; i += 4) {
    const levels = f32x4(
      load<f32>(first + i),
      load<f32>(second + i),
      load<f32>(third + i),
      load<f32>(fourth + i),
    );
    v128.store(V + i * 4, signed(f32x4.mul(scale, levels), i >> 2));
  }
}

/** v G v - 2 v · PULL */
function cost(g: usize, v: usize): v128 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < size; i++) {
    let own = f32x4.mul(f32x4.splat(-2), v128.load(PULL + i * 16));
    for (let j: usize = 0; j < size; j++) {
      own = f32x4.add(own, f32x4.mul(v128.load32_splat(g + (i * 8 + j) * 4), v128.load(v + j * 16)));
    }
    sum = f32x4.add(sum, f32x4.mul(own, v128.load(v + i * 16)));
  }
  return sum;
}

/** The codes of the rows that `these` says. */
function put_entry(entry: v128, these: v128, q: usize): void {
  let signs = i32x4.splat(0);
  for (let i: usize = 0; i < size; i++) {
    const bit = v128.and(v128.load(MINUS + i * 16), i32x4.splat(1 << (<i32>i)));
    signs = v128.or(signs, bit);
  }
  v128.store(CODES, v128.or(entry, i32x4.shl(signs, 16)));
  const rows = i32x4.bitmask(these);
  for (let row: usize = 0; row < 4; row++) {
    if (!((rows >> <i32>row) & 1)) continue;
    const code = load<u32>(CODES + row * 4);
    store<u8>(q + row, code);
    store<u8>(q + row, code >> 8, 4);
    store<u8>(q + row, code >> 16, 8);
  }
}
