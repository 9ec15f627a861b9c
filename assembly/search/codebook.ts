// The codebooks of the IQ types as a search needs them: which entry a group of levels is, and which are near it.
//
// A group of levels is a point; ggml's codebooks have an entry at a few of them only. For every other point a list says
// which entries lie at the least distances (ggml takes the nearest one, two or three distances), nearest first, of
// equally near ones the lower first: that is the order in which ggml tries them, and the first of equals wins. The
// lists follow from the grid; they are computed where the caller has memory for them, a few milliseconds' work.
//
// Most of them need not be tried. What rounds to a level is, in each element, nearer to an entry than to another that is
// farther from the level on the same side. An entry that is at least as near as another in each element so wins, whatever the
// weights: a second list has only those that none before wins against.  But near the middle between two levels floats
// may round the other way; for points that a value so close to a middle led to, the whole list is tried (`plain` of rounding.ts).
//
//   0: a u32 for each point, the sum of level i * levels^i:  ON_GRID | entry, in groups of four | its code << 16,
//   or  first place << 8 | places
//   then another for each, of the short lists
//   then places. Groups of eight: four neighbours each, a byte for each element of the group, the sum of level * 3^j of neighbour
//   j, and 4 × u16, their entries; or one each (`alone`), eight bytes, 16 * level, and a u32, OFF_GRID | its entry. Groups of
//   four: two neighbours each, four bytes, 16 * level, and a u32, OFF_GRID | its entry | its code << 16.

/** The most entries that a grid has, and the most elements that a group has. */
const MOST: usize = 2048;

/** The levels of all entries, a plane of bytes for each element of a group. */
const PLANES: usize = memory.data(16384, 16);
function plane(i: u32): usize {
  return PLANES + <usize>i * MOST;
}

/** The levels of each entry side by side, eight bytes, and those of the point at hand. */
const LEVELS: usize = memory.data(16384, 16);
const POINT: usize = memory.data(8, 16);
/** u16, the entries near the point at hand, nearest first. */
const NEAR: usize = memory.data(4096, 16);
/** From the point at hand to each entry. */
const DISTANCES: usize = memory.data(2048, 16);
/** To take the least of sixteen bytes; what is behind them takes no part. */
const LEAST: usize = memory.data(32, 16);

export const ON_GRID: u32 = 0x80000000;
/** OFF of search_iq.ts */
const OFF_GRID: u32 = 0x8000;
const FAR: i32 = 255;

/** Bytes of a place in the lists. */
const PLACE: u32 = 16;

/** Neighbours of a place, as a power of two. */
let place_bits: u32 = 0;

/**
 * Writes the table of a grid to `at`, and returns its length in bytes. Entries are a whole number of sixteen. Not `shortened`,
 * for levels that are found otherwise than by rounding, both lists are whole.
 * Neighbours stand `alone` where they are tried under four scales at a time.
 */
export function build_codebook(
  codes: usize,
  entries: u32,
  size: u32,
  levels: u32,
  rings: u32,
  at: usize,
  shortened: bool = true,
  alone: bool = false,
): usize {
  place_bits = alone ? 0 : size === 8 ? 2 : 1;
  if (size === 8) fill_choices();
  const bits = 16 / size;
  for (let i: u32 = 0; i < size; i++) {
    for (let e: u32 = 0; e < entries; e++) {
      const code = <u32>load<u16>(codes + <usize>e * 2);
      const level: u8 = <u8>((code >> (i * bits)) & ((1 << bits) - 1));
      store<u8>(plane(i) + e, level);
      store<u8>(LEVELS + <usize>e * 8 + i, level);
    }
  }
  let points: u32 = 1;
  for (let i: u32 = 0; i < size; i++) points *= levels;
  let places: u32 = 0;
  for (let point: u32 = 0; point < points; point++) {
    const nearest = measure(point, entries, size, levels);
    let value = ON_GRID;
    if (nearest === 0) {
      const entry = find(0, 0);
      value |= size === 4 ? entry | (code_4(entry) << 16) : entry;
    }
    let short = value;
    if (nearest > 0) {
      const near = list(nearest, entries, rings);
      value = write_list(at + points * 8, places, near, size);
      places += value & 255;
      const kept = shortened ? prune(point, near, size, levels) : near;
      short = kept < near ? write_list(at + points * 8, places, kept, size) : value;
      if (kept < near) places += short & 255;
    }
    store<u32>(at + <usize>point * 4, value);
    store<u32>(at + <usize>(points + point) * 4, short);
  }
  return points * 8 + places * PLACE;
}

/** Fills DISTANCES, squares of differences of levels summed, and returns the least. */
function measure(point: u32, entries: u32, size: u32, levels: u32): i32 {
  memory.fill(DISTANCES, 0, entries);
  for (let i: u32 = 0; i < size; i++, point /= levels) {
    const level = i8x16.splat(<i8>(point % levels));
    // Squares of 0..7.
    const squares = i8x16(0, 1, 4, 9, 16, 25, 36, 49, 0, 0, 0, 0, 0, 0, 0, 0);
    for (let e: usize = 0; e < entries; e += 16) {
      const difference = i8x16.abs(i8x16.sub(v128.load(plane(i) + e), level));
      const sum = i8x16.add(v128.load(DISTANCES + e), i8x16.swizzle(squares, difference));
      v128.store(DISTANCES + e, sum);
    }
  }
  return beyond(-1, entries);
}

/** The least of DISTANCES that is larger than `distance`, or FAR. */
function beyond(distance: i32, entries: u32): i32 {
  const from = i8x16.splat(<i8>(distance + 1));
  let least = i8x16.splat(<i8>FAR);
  for (let e: usize = 0; e < entries; e += 16) {
    const d = v128.load(DISTANCES + e);
    least = i8x16.min_u(least, v128.or(d, i8x16.lt_u(d, from)));
  }
  for (let lane = 8; lane > 0; lane >>= 1) {
    v128.store(LEAST, least);
    least = i8x16.min_u(least, v128.load(LEAST + lane));
  }
  return i8x16.extract_lane_u(least, 0);
}

/** The first entry from `e` on that is so far away. */
function find(distance: i32, e: u32): u32 {
  while (<i32>load<u8>(DISTANCES + e) !== distance) e++;
  return e;
}

/** Puts the entries at the `rings` least distances, of which `nearest` is one, into NEAR; returns how many there are. */
function list(nearest: i32, entries: u32, rings: u32): u32 {
  let count: u32 = 0;
  for (let distance = nearest; rings > 0 && distance < FAR; rings--, distance = beyond(distance, entries)) {
    const ring = i8x16.splat(<i8>distance);
    for (let e: u32 = 0; e < entries; e += 16) {
      let found = i8x16.bitmask(i8x16.eq(v128.load(DISTANCES + e), ring));
      for (; found !== 0; found &= found - 1, count++) store<u16>(NEAR + <usize>count * 2, e + ctz(found));
    }
  }
  return count;
}

/** Leaves in NEAR those of `count` entries that none before is between, in every element, and the point. */
function prune(point: u32, count: u32, size: u32, levels: u32): u32 {
  store<u64>(POINT, 0);
  for (let i: u32 = 0; i < size; i++, point /= levels) store<u8>(POINT + i, point % levels);
  const at = v128.load64_splat(POINT);
  let kept: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const entry = load<u16>(NEAR + <usize>k * 2);
    const own = v128.load64_splat(LEVELS + <usize>entry * 8);
    const low = i8x16.min_u(at, own);
    const high = i8x16.max_u(at, own);
    let j: u32 = 0;
    for (; j < kept; j++) {
      const other = v128.load64_splat(LEVELS + <usize>load<u16>(NEAR + <usize>j * 2) * 8);
      if (i8x16.all_true(v128.and(i8x16.ge_u(other, low), i8x16.le_u(other, high)))) break;
    }
    if (j < kept) continue;
    store<u16>(NEAR + <usize>kept * 2, entry);
    kept++;
  }
  return kept;
}

/** Writes the first `count` of NEAR as places from number `first` on; returns what the table says of them. */
function write_list(lists: usize, first: u32, count: u32, size: u32): u32 {
  const at = lists + first * PLACE;
  const places = (count + (1 << place_bits) - 1) >> place_bits;
  for (let k: u32 = 0; k < places << place_bits; k++) {
    // A place is filled up with its last neighbour again, which cannot win against itself.
    write(at, k, load<u16>(NEAR + <usize>min(k, count - 1) * 2), size);
  }
  return (first << 8) | places;
}

/** The levels of an entry, four bits each. */
function code_4(e: u32): u32 {
  let code: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) code |= (<u32>load<u8>(plane(i) + e)) << (4 * i);
  return code;
}

function write(at: usize, k: u32, e: u32, size: u32): void {
  if (size === 4) {
    const place = at + k * 8;
    for (let i: u32 = 0; i < 4; i++) store<u8>(place + i, load<u8>(plane(i) + e) * 16);
    store<u32>(place, OFF_GRID | e | (code_4(e) << 16), 4);
    return;
  }
  if (place_bits === 0) {
    const place = at + k * 16;
    for (let i: u32 = 0; i < 8; i++) store<u8>(place + i, load<u8>(plane(i) + e) * 16);
    store<u32>(place, OFF_GRID | e, 8);
    return;
  }
  const place = at + (k >> 2) * 16;
  const lane = k & 3;
  const power = lane === 0 ? 1 : lane === 1 ? 3 : lane === 2 ? 9 : 27;
  for (let i: u32 = 0; i < 8; i++) {
    const before = lane > 0 ? <u32>load<u8>(place + i) : 0;
    store<u8>(place + i, before + <u32>load<u8>(plane(i) + e) * power);
  }
  store<u16>(place + lane * 2, e, 8);
}

/** 81 vectors, by the sum of level j * 3^j: the bytes of four floats, float `level j` in lane j. */
const CHOICES: usize = memory.data(1296, 16);

/** Of four floats in `values` that of each neighbour's level, a lane each: `sum` is an element's byte of a place. */
export function chosen(values: v128, sum: u8): v128 {
  return i8x16.swizzle(values, v128.load(CHOICES + ((<usize>sum) << 4)));
}

function fill_choices(): void {
  for (let sum: u32 = 0; sum < 81; sum++) {
    for (let lane: u32 = 0, rest = sum; lane < 4; lane++, rest /= 3) {
      store<u32>(CHOICES + sum * 16 + lane * 4, 0x03020100 + (rest % 3) * 0x04040404);
    }
  }
}

/**
 * The entry of the least of four lanes, of equal ones the first: `at` is how many bytes behind the first place each
 * lane found its own, `entries` where the first place has its entries.
 */
export function first_of_least(entries: usize, least: v128, at: v128): u32 {
  let m = f32x4.pmin(
    least,
    i8x16.shuffle(least, least, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
  );
  m = f32x4.pmin(m, i8x16.shuffle(m, m, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  const others = f32x4.ne(least, m);
  let p = v128.or(i32x4.add(at, i32x4(0, 2, 4, 6)), v128.and(others, i32x4.splat(0x7fffffff)));
  p = i32x4.min_s(p, i8x16.shuffle(p, p, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  p = i32x4.min_s(p, i8x16.shuffle(p, p, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  return load<u16>(entries + i32x4.extract_lane(p, 0));
}

/** w * (value - x)² for the float at `x` and the weight at `w`, a lane for each of four values. */
export function terms(x: usize, w: usize, values: v128): v128 {
  const difference = f32x4.sub(values, v128.load32_splat(x));
  return f32x4.mul(f32x4.mul(v128.load32_splat(w), difference), difference);
}
