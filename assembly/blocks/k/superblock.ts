// What the K-quants share besides their searches. A super-block (QK_K in ggml) is 256 weights in 8 sub-blocks of 32
// or 16 sub-blocks of 16. A sub-block has a small integer scale, and in some types a small integer min; the units of
// both are f16, one each for the super-block:
//   weight = d * scale * level - dmin * min
// Levels pass through LEVELS, one byte per weight in order; each type packs them in its own way.
import { narrow_i8 } from "../pack";

/** What a search found, up to 16 f32 each, in the order of the sub-blocks. */
export const SCALES: usize = memory.data(64, 16);
export const MINS: usize = memory.data(64, 16);
/** Sums of the weights it went by. */
export const SUMS: usize = memory.data(64, 16);
/** Its levels are nearest_int(iscale * (x - offset)), cut to the range of the type; all zero if iscale is. */
export const ISCALES: usize = memory.data(64, 16);
export const OFFSETS: usize = memory.data(64, 16);

/** The levels of the super-block at hand, 256 bytes. */
export const LEVELS: usize = memory.data(256, 16);

/** Scale and min of each sub-block as they will be read back: d * scale and dmin * min, up to 16 f32 each. */
export const SUB_D: usize = memory.data(64, 16);
export const SUB_M: usize = memory.data(64, 16);

/** The mins of types that have none. */
export const NO_MINS: usize = memory.data(64, 16);

/** Added to a float, 1.5 * 2^23 rounds it to an integer, ties to even, and leaves that in the low bits of the sum. */
const ROUND: f32 = 12582912;

/** ggml's nearest_int. Beyond ±4194303 the low bits mean nothing, but ggml uses them, so they must be the same. */
export function nearest_int(f: f32): i32 {
  return (reinterpret<i32>(f + ROUND) & 0x7fffff) - 0x400000;
}

/** nearest_int of four floats, as i32. */
export function nearest_int4(f: v128): v128 {
  const bits = v128.and(f32x4.add(f, f32x4.splat(ROUND)), i32x4.splat(0x7fffff));
  return i32x4.sub(bits, i32x4.splat(0x400000));
}

/** Constants of nearest_int4. */
const ROUND_AND_BITS: usize = memory.data<u32>([0x4b400000, 0x7fffff, 0x400000]);

/**
 * Writes LEVELS for the final scales SUB_D and mins (SUB_M or NO_MINS): nearest_int((x + m) / d) cut to lo..hi, less
 * lo. `n` weights in a sub-block. Leaves those whose scale came out as zero to search_levels.
 */
export function round_levels(x: usize, n: usize, mins: usize, lo: i32, hi: i32): void {
  const low = i8x16.splat(<i8>lo);
  const high = i8x16.splat(<i8>hi);
  const round = v128.load32_splat(ROUND_AND_BITS);
  const bits = v128.load32_splat(ROUND_AND_BITS, 4);
  const zero = v128.load32_splat(ROUND_AND_BITS, 8);
  for (let q = LEVELS, j: usize = 0; q < LEVELS + 256; j += 4, q += n, x += n * 4) {
    if (load<f32>(SUB_D + j) === 0) continue;
    const d = v128.load32_splat(SUB_D + j);
    const m = v128.load32_splat(mins + j);
    for (let i: usize = 0; i < n; i += 16) {
      const p = x + i * 4;
      // nearest_int4, its constants loaded once.
      const a_a = v128.and(f32x4.add(f32x4.div(f32x4.add(v128.load(p), m), d), round), bits);
      const a_b = v128.and(f32x4.add(f32x4.div(f32x4.add(v128.load(p, 16), m), d), round), bits);
      const a_c = v128.and(f32x4.add(f32x4.div(f32x4.add(v128.load(p, 32), m), d), round), bits);
      const a_d = v128.and(f32x4.add(f32x4.div(f32x4.add(v128.load(p, 48), m), d), round), bits);
      const level = narrow_i8(
        i32x4.sub(a_a, zero),
        i32x4.sub(a_b, zero),
        i32x4.sub(a_c, zero),
        i32x4.sub(a_d, zero),
      );
      v128.store(q + i, i8x16.sub(i8x16.max_s(i8x16.min_s(level, high), low), low));
    }
  }
}

/** Writes LEVELS where the final scale is zero: there the levels of the search stay, as in ggml. */
export function search_levels(x: usize, n: usize, lo: i32, hi: i32): void {
  for (let q = LEVELS, j: usize = 0; q < LEVELS + 256; j += 4, q += n, x += n * 4) {
    if (load<f32>(SUB_D + j) !== 0) continue;
    nearest_levels(x, n, load<f32>(ISCALES + j), load<f32>(OFFSETS + j), lo, hi, q);
  }
}

/** nearest_int(iscale * (x - offset)) of `n` floats at `x`, cut to lo..hi, less lo, as bytes at `q`; 0 if iscale is. */
export function nearest_levels(
  x: usize,
  n: usize,
  iscale: f32,
  offset: f32,
  lo: i32,
  hi: i32,
  q: usize,
): void {
  for (let i: usize = 0; i < n; i++) {
    const level = max(lo, min(hi, nearest_int(iscale * (load<f32>(x + i * 4) - offset))));
    store<u8>(q + i, iscale !== 0 ? level - lo : 0);
  }
}

/**
 * Sixteen bytes, each filled from the bottom with `width` bits, from bit `place` up, of the levels at `q`, `q` + stride
 * and so on. The way every K-quant packs its levels.
 */
export function gather_levels(q: usize, stride: usize, place: i32, width: i32): v128 {
  const ones = (1 << width) - 1;
  const mask = i8x16.splat(<i8>ones);
  let bytes = i8x16.splat(0);
  for (let shift = 0; shift < 8; shift += width, q += stride) {
    const bits = v128.and(i16x8.shr_u(v128.load(q), place), mask);
    bytes = v128.or(bytes, i16x8.shl(bits, shift));
  }
  return bytes;
}

/** The one of SCALES of largest magnitude; of equal magnitudes the first. */
export function absmax_scale(): f32 {
  let largest: f32 = 0;
  for (let j: usize = 0; j < 64; j += 4) {
    const scale = load<f32>(SCALES + j);
    if (abs(scale) > abs(largest)) largest = scale;
  }
  return largest;
}

/**
 * Rounds `n` scales or mins at `x` to bytes at `q`, the largest to `top` and none below 0 expected.
 * Returns the unit: largest / top.
 */
export function round_scales(x: usize, n: usize, top: f32, q: usize): f32 {
  let largest: f32 = 0;
  for (let i: usize = 0; i < n; i++) {
    const value = load<f32>(x + i * 4);
    if (value > largest) largest = value;
  }
  const inverse = largest > 0 ? top / largest : 0;
  for (let i: usize = 0; i < n; i++) store<u8>(q + i, nearest_int(inverse * load<f32>(x + i * 4)));
  return largest / top;
}

/** Eight scales and eight mins of 6 bits, one byte each, on their way to and from the 12 bytes of Q4_K and Q5_K. */
export const SCALES_MINS: usize = memory.data(16, 16);

/** Brings SCALES_MINS down to the 63 that fit. */
export function cut_scales_mins(): void {
  v128.store(SCALES_MINS, i8x16.min_u(v128.load(SCALES_MINS), i8x16.splat(63)));
}

/**
 * Packs SCALES_MINS into 12 bytes at `y`: bytes 0..3 hold scales 0..3, bytes 4..7 mins 0..3, each with the upper two
 * bits of scale or min 4..7 on top; bytes 8..11 the lower four bits of scales 4..7, and above them those of mins 4..7.
 */
export function pack_scales_mins(y: usize): void {
  const scales = load<u32>(SCALES_MINS + 4);
  const mins = load<u32>(SCALES_MINS + 12);
  store<u32>(y, load<u32>(SCALES_MINS) | (((scales >> 4) & 0x03030303) << 6));
  store<u32>(y + 4, load<u32>(SCALES_MINS + 8) | (((mins >> 4) & 0x03030303) << 6));
  store<u32>(y + 8, (scales & 0x0f0f0f0f) | ((mins & 0x0f0f0f0f) << 4));
}

/** Reads the 12 bytes at `x` and writes SCALES_MINS. */
export function load_scales_mins(x: usize): void {
  const a = load<u32>(x);
  const b = load<u32>(x + 4);
  const c = load<u32>(x + 8);
  store<u32>(SCALES_MINS, a & 0x3f3f3f3f);
  store<u32>(SCALES_MINS + 4, (c & 0x0f0f0f0f) | (((a >> 6) & 0x03030303) << 4));
  store<u32>(SCALES_MINS + 8, b & 0x3f3f3f3f);
  store<u32>(SCALES_MINS + 12, ((c >> 4) & 0x0f0f0f0f) | (((b >> 6) & 0x03030303) << 4));
}

/** Reads the 12 bytes at `x` and writes SUB_D and SUB_M for the units `d` and `dmin`. */
export function unpack_scales_mins(x: usize, d: f32, dmin: f32): void {
  load_scales_mins(x);
  multiply_bytes(load<u32>(SCALES_MINS), d, SUB_D);
  multiply_bytes(load<u32>(SCALES_MINS + 4), d, SUB_D + 16);
  multiply_bytes(load<u32>(SCALES_MINS + 8), dmin, SUB_M);
  multiply_bytes(load<u32>(SCALES_MINS + 12), dmin, SUB_M + 16);
}

/** The four bytes of `bytes` times `unit`, as f32 at `y`. */
function multiply_bytes(bytes: u32, unit: f32, y: usize): void {
  const q = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(bytes)));
  v128.store(y, f32x4.mul(f32x4.splat(unit), f32x4.convert_i32x4_s(q)));
}
