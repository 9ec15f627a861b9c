// IQ1_M: 256 weights in 56 bytes, in 16 sub-blocks of 16.   0: 32 × u8, lower eight bits of entries of IQ1S_GRID
//   32: a nibble for each entry, low nibble first: its upper three bits, and above them minus
//   48: 4 × u16: lower twelve bits = four scales of three bits, lowest first; the upper fours, lowest first, are d f16
//   weight = d * (2 scale + 1) * (level + 1/8), or - 1/8 where minus is set
// Levels are counted in eighths here: a power of two moves between factors without rounding.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { sum_squares } from "../../search/search";
import { small_scale } from "../../search/search_grid";
import { W, weigh, weigh_by_square } from "../../search/search_iq";
import {
  codebook_iq1,
  DOWN,
  entry_of,
  OFF,
  ORDER,
  set_levels,
  sort,
  UP,
  value_of,
} from "../../search/search_iq1";
import { store_scaled } from "../pack";
import { eights, iq1_levels } from "./iq";
import { IQ1S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ1_M: i32 = 256;
export const TYPE_SIZE_IQ1_M: i32 = 56;

/** Below this magnitude a sub-block counts as zero. */
const EPSILON: f32 = 1e-7;
const SCALES: usize = memory.data(64, 16);
/** The shifts of each sub-block: bit 1 = the first eight go down, bit 0 = the second. */
const SHIFTS: usize = memory.data(16, 16);

/**
 * Sums of the first weights in ORDER, and of these times x: entry i is that of i weights. Those of the second eight, for
 * which the shift may be another, are HALF bytes on.
 */
const SUM_W: usize = memory.data(192, 16);
const SUM_X: usize = memory.data(192, 16);
const HALF: usize = 96;
const ALL: usize = 64;

/** The sums with all four pairs of shifts, for four second cuts. */
const SUM_QX: usize = memory.data(64, 16);
const SUM_QQ: usize = memory.data(64, 16);

// The best cut so far.
let best_scale: f32 = 0;
let first: usize = 0;
let second: usize = 0;
let shifts: i32 = 0;

export function codebook_iq1_m(at: usize): usize {
  return codebook_iq1(at);
}

export function quantize_row_iq1_m(x: usize, y: usize, n: i32): void {
  quantize_row_iq1_m_weighted(x, y, n, 0);
}

/** With `w` 0 weights are x². */
export function quantize_row_iq1_m_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 56) {
    memory.fill(y, 0, 56);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    let most: f32 = 0;
    for (let k: usize = 0; k < 16; k++) {
      set_weights(x, w, k, sigma2);
      shifts = 0;
      const scale = search(x + k * 64, y, k);
      store<f32>(SCALES + k * 4, scale);
      store<u8>(SHIFTS + k, shifts);
      most = max(most, scale);
    }
    if (sigma2 === Infinity) most = Infinity; // squares that f32 cannot hold: what is written must read as no number
    if (most !== 0) store_scales(x, y, w, sigma2, most / 15);
    if (w) w += 1024;
  }
}

function set_weights(x: usize, w: usize, k: usize, sigma2: f32): void {
  if (w) weigh(x + k * 64, w + k * 64, sigma2, 16);
  else weigh_by_square(x + k * 64, 0, 16);
}

/** Writes the entries of sub-block k; returns its scale. */
function search(x: usize, y: usize, k: usize): f32 {
  let most: f32 = 0;
  for (let i: usize = 0; i < 64; i += 4) most = max(most, abs(load<f32>(x + i)));
  if (most < EPSILON) return 0;
  sort(x, 16);
  if (!cut(x)) {
    shifts = 0;
    return 0;
  }
  let scale = best_scale;
  set_levels(16, first, second, scale < 0);
  if (scale < 0) {
    scale = -scale;
    shifts = 3 - shifts;
  }
  const one = entry_of(0, x, W, scale, shift_of(shifts >> 1));
  const two = entry_of(1, x, W, scale, shift_of(shifts & 1));
  store<u8>(y + k * 2, one);
  store<u8>(y + k * 2, two, 1);
  store<u8>(y + k, ((one >> 8) & 7) | (((two >> 8) & 7) << 4), 32);
  if (!((one | two) & OFF)) return scale;
  const qx = add_x(0, 1, one, x, 0, shifts >> 1);
  const qq = add_w(0, 1, one, 0, shifts >> 1);
  const sum_qx = add_x(qx, 1, two, x, 1, shifts & 1);
  const sum_qq = add_w(qq, 1, two, 1, shifts & 1);
  return sum_qx > 0 && sum_qq > 0 ? sum_qx / sum_qq : scale;
}

function shift_of(down: i32): usize {
  return down ? DOWN : UP;
}

/** `sum` and the weighted value * x of the eight weights of group k. */
function add_x(sum: f32, scale: f32, entry: u32, x: usize, k: usize, down: i32): f32 {
  for (let i: u32 = 0; i < 8; i++) {
    const value = value_of(entry, i, shift_of(down)) * scale;
    sum += load<f32>(W + k * 32 + i * 4) * value * load<f32>(x + k * 32 + i * 4);
  }
  return sum;
}

/** `sum` and the weighted value² of the eight weights of group k. */
function add_w(sum: f32, scale: f32, entry: u32, k: usize, down: i32): f32 {
  for (let i: u32 = 0; i < 8; i++) {
    const value = value_of(entry, i, shift_of(down)) * scale;
    sum += load<f32>(W + k * 32 + i * 4) * value * value;
  }
  return sum;
}

/** Rounds the scales to multiples of `d`, and fits d to the block that comes of it. */
function store_scales(x: usize, y: usize, w: usize, sigma2: f32, d: f32): void {
  const id: f32 = 1 / d;
  let sum_qx: f32 = 0;
  let sum_qq: f32 = 0;
  for (let k: usize = 0; k < 16; k++) {
    const scale = small_scale(id, load<f32>(SCALES + k * 4), 7);
    const place = y + (k >> 2) * 2;
    store<u16>(place, <u32>load<u16>(place, 48) | (scale << (<u32>(k & 3) * 3)), 48);
    const down = <i32>load<u8>(SHIFTS + k);
    const high = <u32>load<u8>(y + k, 32);
    store<u8>(y + k, high | (down & 2 ? 0x08 : 0) | (down & 1 ? 0x80 : 0), 32);
    set_weights(x, w, k, sigma2);
    const one = <u32>load<u8>(y + k * 2) | ((high & 7) << 8);
    const two = <u32>load<u8>(y + k * 2, 1) | ((high & 0x70) << 4);
    const odd = <f32>(scale * 2 + 1);
    sum_qx = add_x(add_x(sum_qx, odd, one, x + k * 64, 0, down >> 1), odd, two, x + k * 64, 1, down & 1);
    sum_qq = add_w(add_w(sum_qq, odd, one, 0, down >> 1), odd, two, 1, down & 1);
  }
  if (sum_qq > 0) d = sum_qx / sum_qq;
  const bits = f32_to_f16(d * 1.1125);
  for (let j: usize = 0; j < 4; j++) {
    const place = y + j * 2;
    store<u16>(place, <u32>load<u16>(place, 48) | (((bits >> (<u32>j * 4)) & 15) << 12), 48);
  }
}

/** Finds the two cuts and the shifts that gain most; returns whether any gains. */
function cut(x: usize): bool {
  memory.fill(SUM_X, 0, 192);
  memory.fill(SUM_W, 0, 192);
  for (let j: usize = 0; j < 16; j++) {
    const i = <usize>load<u8>(ORDER + j);
    const w = load<f32>(W + i * 4);
    const at = j * 4 + (i < 8 ? 0 : HALF);
    const other = j * 4 + (i < 8 ? HALF : 0);
    store<f32>(SUM_X + at, load<f32>(SUM_X + at) + w * load<f32>(x + i * 4), 4);
    store<f32>(SUM_W + at, load<f32>(SUM_W + at) + w, 4);
    store<f32>(SUM_X + other, load<f32>(SUM_X + other), 4);
    store<f32>(SUM_W + other, load<f32>(SUM_W + other), 4);
  }
  let gain: f32 = -f32.MAX_VALUE;
  let found = false;
  for (let i: usize = 0; i <= 16; i++) {
    for (let j: usize = i & ~3; j <= 16; j += 4) {
      if (!any_gains(i, j, gain)) continue;
      for (let lane = max(i, j) - j, end = min(16, j + 3) - j; lane <= end; lane++) {
        for (let k = 0; k < 4; k++) {
          const qx = load<f32>(SUM_QX + k * 16 + lane * 4);
          const qq = load<f32>(SUM_QQ + k * 16 + lane * 4);
          if (!(qq > 0 && qx * qx > gain * qq)) continue;
          best_scale = qx / qq;
          gain = best_scale * qx;
          first = i;
          second = j + lane;
          shifts = k;
          found = true;
        }
      }
    }
  }
  return found;
}

/** Fills SUM_QX and SUM_QQ for the four second cuts from `j` on; returns whether one of them gains more than `gain`. */
function any_gains(i: usize, j: usize, gain: f32): bool {
  const up_x = half_x(i, j, 0, 1.125);
  const down_x = half_x(i, j, 0, 0.875);
  const up_x2 = half_x(i, j, HALF, 1.125);
  const down_x2 = half_x(i, j, HALF, 0.875);
  // Squares of the values of a shift, each less the next.
  const up_w = half_w(i, j, 0, 1.125, 0.75, -1.25);
  const down_w = half_w(i, j, 0, 0.875, 1.25, -0.75);
  const up_w2 = half_w(i, j, HALF, 1.125, 0.75, -1.25);
  const down_w2 = half_w(i, j, HALF, 0.875, 1.25, -0.75);
  let any = keep(0, f32x4.add(up_x, up_x2), f32x4.add(up_w, up_w2), gain);
  any = v128.or(any, keep(16, f32x4.add(up_x, down_x2), f32x4.add(up_w, down_w2), gain));
  any = v128.or(any, keep(32, f32x4.add(down_x, up_x2), f32x4.add(down_w, up_w2), gain));
  any = v128.or(any, keep(48, f32x4.add(down_x, down_x2), f32x4.add(down_w, down_w2), gain));
  return v128.any_true(any);
}

/** Of one half, value * x summed: its sum times the highest value, less the sums before each cut. */
function half_x(i: usize, j: usize, half: usize, high: f32): v128 {
  const sums = SUM_X + half;
  const before = f32x4.add(v128.load32_splat(sums + i * 4), v128.load(sums + j * 4));
  return f32x4.sub(f32x4.splat(load<f32>(sums + ALL) * high), before);
}

/** Of one half, value² summed, likewise. */
function half_w(i: usize, j: usize, half: usize, high: f32, one: f32, two: f32): v128 {
  const sums = SUM_W + half;
  const all = f32x4.splat(load<f32>(sums + ALL) * high * high);
  const low = f32x4.splat(load<f32>(sums + i * 4) * one);
  return f32x4.add(f32x4.add(all, low), f32x4.mul(v128.load(sums + j * 4), f32x4.splat(two)));
}

function keep(place: usize, qx: v128, qq: v128, gain: f32): v128 {
  v128.store(SUM_QX + place, qx);
  v128.store(SUM_QQ + place, qq);
  return f32x4.gt(f32x4.mul(qx, qx), f32x4.mul(f32x4.splat(gain), qq));
}

export function dequantize_row_iq1_m(x: usize, y: usize, n: i32): void {
  const levels = iq1_levels();
  for (const end = y + <usize>n * 4; y < end; x += 56) {
    const d = f16_to_f32(unit(load<u64>(x, 48)));
    for (let k: usize = 0; k < 16; k++, y += 64) {
      const scale = (<u32>load<u16>(x + 48 + (k >> 2) * 2) >> (<u32>(k & 3) * 3)) & 7;
      const dl = f32x4.splat(d * <f32>(scale * 2 + 1) * 0.125);
      const high = <u32>load<u8>(x + 32 + k);
      const first = <u32>load<u8>(x + k * 2) | ((high & 7) << 8);
      const second = <u32>load<u8>(x + k * 2, 1) | ((high & 0x70) << 4);
      const minus = i64x2(-(<i64>((high >> 3) & 1)), -(<i64>(high >> 7)));
      const eighths = v128.or(minus, i8x16.splat(1));
      store_scaled(y, i8x16.add(eights(IQ1S_GRID, first, second, levels), eighths), dl);
    }
  }
}

/** The bits of d. */
function unit(scales: u64): u32 {
  const low = ((scales >> 12) & 0x000f) | ((scales >> 24) & 0x00f0);
  return <u32>(low | ((scales >> 36) & 0x0f00) | ((scales >> 48) & 0xf000));
}
