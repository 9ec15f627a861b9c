// The codebooks of the IQ types as a search needs them: which entry a group of levels is, and which are near it.
//
// A group of levels is a point; ggml's codebooks have an entry at a few of them only. For every other point a list says
// which entries lie at the least distances (ggml takes the nearest one, two or three distances), nearest first, of
// equally near ones the lower first: that is the order in which ggml tries them, and the first of equals wins. The
// lists follow from the grid; they are computed where the caller has memory for them, a few milliseconds' work.
//
//   0: a u32 for each point, the sum of level i * levels^i:  ON_GRID | entry,  or  first place << 8 | places
//   then places. Groups of eight: four neighbours each, four bytes for each element of the group, 4 * level of each
//   neighbour, and 4 × u16, their entries. Groups of four: a neighbour each, four bytes, 4 * level, and a u16, its entry.

/** The most entries that a grid has, and the most elements that a group has. */
const MOST: usize = 2048;

/** The levels of all entries, a plane of bytes for each element of a group. */
const PLANES: usize = memory.data(16384, 16);
function plane(i: u32): usize {
  return PLANES + <usize>i * MOST;
}

/** From the point at hand to each entry. */
const DISTANCES: usize = memory.data(2048, 16);
/** To take the least of sixteen bytes; what is behind them takes no part. */
const LEAST: usize = memory.data(32, 16);

export const ON_GRID: u32 = 0x80000000;
const FAR: i32 = 255;

/** Bytes of a place in the lists of groups of `size`. */
export function place_bytes(size: u32): u32 {
  return size === 8 ? 40 : 8;
}

/**
 * Writes the table of a grid to `at`, and returns its length in bytes. Entries are a whole number of sixteen.
 */
export function build_codebook(
  codes: usize,
  entries: u32,
  size: u32,
  levels: u32,
  rings: u32,
  at: usize,
): usize {
  const bits = 16 / size;
  for (let i: u32 = 0; i < size; i++) {
    for (let e: u32 = 0; e < entries; e++) {
      const code = <u32>load<u16>(codes + <usize>e * 2);
      store<u8>(plane(i) + e, (code >> (i * bits)) & ((1 << bits) - 1));
    }
  }
  let points: u32 = 1;
  for (let i: u32 = 0; i < size; i++) points *= levels;
  let places: u32 = 0;
  for (let point: u32 = 0; point < points; point++) {
    const nearest = measure(point, entries, size, levels);
    let value = ON_GRID | find(0, 0);
    if (nearest > 0) {
      const count = list(at + points * 4 + places * place_bytes(size), nearest, entries, size, rings);
      value = (places << 8) | count;
      places += count;
    }
    store<u32>(at + <usize>point * 4, value);
  }
  return points * 4 + places * place_bytes(size);
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

/** Writes the entries at the `rings` least distances, of which `nearest` is one, to `at`; returns how many places they take. */
function list(at: usize, nearest: i32, entries: u32, size: u32, rings: u32): u32 {
  let count: u32 = 0;
  for (let distance = nearest; rings > 0 && distance < FAR; rings--, distance = beyond(distance, entries)) {
    const ring = i8x16.splat(<i8>distance);
    for (let e: u32 = 0; e < entries; e += 16) {
      let found = i8x16.bitmask(i8x16.eq(v128.load(DISTANCES + e), ring));
      for (; found !== 0; found &= found - 1, count++) write(at, count, e + ctz(found), size);
    }
  }
  if (size === 4) return count;
  // A place is filled up with its last neighbour again, which cannot win against itself.
  const places = (count + 3) >> 2;
  for (let k = count; k < places * 4; k++) write(at, k, entry_8(at, k - 1), size);
  return places;
}

function write(at: usize, k: u32, e: u32, size: u32): void {
  if (size === 4) {
    const place = at + k * 8;
    for (let i: u32 = 0; i < 4; i++) store<u8>(place + i, load<u8>(plane(i) + e) * 4);
    store<u16>(place, e, 4);
    return;
  }
  const place = at + (k >> 2) * 40;
  for (let i: u32 = 0; i < 8; i++) store<u8>(place + i * 4 + (k & 3), load<u8>(plane(i) + e) * 4);
  store<u16>(place + (k & 3) * 2, e, 32);
}

function entry_8(at: usize, k: u32): u32 {
  return load<u16>(at + (k >> 2) * 40 + (k & 3) * 2, 32);
}

/**
 * The entry of the least of four lanes, of equal ones the first: `at` is how many bytes behind the first place each
 * lane found its own, `entries` where the first place has its entries.
 */
export function first_of_least(entries: usize, least: v128, at: v128): u32 {
  let d = f32x4.extract_lane(least, 0);
  let place = i32x4.extract_lane(at, 0);
  let lane: usize = 0;
  let other = f32x4.extract_lane(least, 1);
  let there = i32x4.extract_lane(at, 1);
  if (other < d || (other === d && there < place)) {
    d = other;
    place = there;
    lane = 1;
  }
  other = f32x4.extract_lane(least, 2);
  there = i32x4.extract_lane(at, 2);
  if (other < d || (other === d && there < place)) {
    d = other;
    place = there;
    lane = 2;
  }
  other = f32x4.extract_lane(least, 3);
  there = i32x4.extract_lane(at, 3);
  if (other < d || (other === d && there < place)) {
    place = there;
    lane = 3;
  }
  return load<u16>(entries + place + lane * 2);
}

/** w * (value - x)² for the float at `x` and the weight at `w`, a lane for each of four values. */
export function terms(x: usize, w: usize, values: v128): v128 {
  const difference = f32x4.sub(values, v128.load32_splat(x));
  return f32x4.mul(f32x4.mul(v128.load32_splat(w), difference), difference);
}
