// IQ1_S: 256 weights in 50 bytes, in 8 sub-blocks of 32.   0: d f16   2: 32 × u8, lower eight bits of entries of IQ1S_GRID
//   34: u16 for each sub-block: bits 3 j..3 j + 2 = upper bits of entry j, bits 12..14 = scale, bit 15 = minus
//   weight = d * (2 scale + 1) * (level + 1/8), or - 1/8 where minus is set
// Levels are counted in eighths here: a power of two moves between factors without rounding.
import { f16_to_f32, f32_to_f16 } from "../../numbers/f16";
import { absmax32, sum_squares } from "../../search/search";
import { small_scale } from "../../search/search_grid";
import { W, weigh } from "../../search/search_iq";
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

export const BLOCK_SIZE_IQ1_S: i32 = 256;
export const TYPE_SIZE_IQ1_S: i32 = 50;

/** Below this magnitude a sub-block counts as zero. */
const EPSILON: f32 = 1e-12;
const SCALES: usize = memory.data(32, 16);

/** Sums of the first weights in ORDER, and of these times x: entry i is that of i weights. */
const SUM_W: usize = memory.data(160, 16);
const SUM_X: usize = memory.data(160, 16);

// The best cut so far.
let gain: f32 = 0;
let best_scale: f32 = 0;
let first: usize = 0;
let second: usize = 0;
let shift: usize = 0;

export function codebook_iq1_s(at: usize): usize {
  return codebook_iq1(at);
}

/** As if every column were of the same importance: ggml asks for an importance matrix. */
export function quantize_row_iq1_s(x: usize, y: usize, n: i32): void {
  quantize_row_iq1_s_weighted(x, y, n, 0);
}

export function quantize_row_iq1_s_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 50) {
    memory.fill(y, 0, 50);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    let most: f32 = 0;
    let down: u32 = 0;
    for (let k: usize = 0; k < 8; k++) {
      weigh(x + k * 128, w ? w + k * 128 : 0, sigma2, 32);
      const scale = search(x + k * 128, y + k * 4 + 2, y + k * 2 + 34);
      store<f32>(SCALES + k * 4, scale);
      if (scale !== 0 && shift === DOWN) down |= 1 << (<u32>k);
      most = max(most, scale);
    }
    if (w) w += 1024;
    if (sigma2 === Infinity) most = Infinity; // squares that f32 cannot hold: what is written must read as no number
    if (most === 0) continue;
    const d = most / 15;
    store<u16>(y, <u16>f32_to_f16(d * 1.125));
    for (let k: usize = 0; k < 8; k++) {
      const scale = small_scale(1 / d, load<f32>(SCALES + k * 4), 7) | (((down >> <u32>k) & 1) << 3);
      store<u16>(y + k * 2, <u32>load<u16>(y + k * 2, 34) | (scale << 12), 34);
    }
  }
}

/** Writes the entries of a sub-block, lower bits to `q` and upper ones to `h`; returns its scale. */
function search(x: usize, q: usize, h: usize): f32 {
  if (absmax32(x) < EPSILON) return 0;
  sort(x, 32);
  if (!cut(x)) return 0;
  let scale = best_scale;
  set_levels(32, first, second, scale < 0);
  if (scale < 0) {
    scale = -scale;
    shift = shift === UP ? DOWN : UP;
  }
  let sum_qx: f32 = 0;
  let sum_qq: f32 = 0;
  let off: u32 = 0;
  let high: u32 = 0;
  for (let k: usize = 0; k < 4; k++) {
    const entry = entry_of(k, x, W, scale, shift);
    off |= entry & OFF;
    store<u8>(q + k, entry);
    high |= ((entry >> 8) & 7) << (<u32>k * 3);
    for (let i: u32 = 0; i < 8; i++) {
      const weight = load<f32>(W + k * 32 + i * 4);
      const value = value_of(entry, i, shift);
      sum_qx += weight * value * load<f32>(x + k * 32 + i * 4);
      sum_qq += weight * value * value;
    }
  }
  store<u16>(h, high);
  return off && sum_qx > 0 && sum_qq > 0 ? sum_qx / sum_qq : scale;
}

/** Finds the two cuts and the shift that gain most; returns whether any gains. */
function cut(x: usize): bool {
  let sum_x: f32 = 0;
  let sum_w: f32 = 0;
  store<f32>(SUM_X, 0);
  store<f32>(SUM_W, 0);
  for (let j: usize = 0; j < 32; j++) {
    const i = <usize>load<u8>(ORDER + j) * 4;
    sum_x += load<f32>(W + i) * load<f32>(x + i);
    sum_w += load<f32>(W + i);
    store<f32>(SUM_X + j * 4, sum_x, 4);
    store<f32>(SUM_W + j * 4, sum_w, 4);
  }
  gain = -f32.MAX_VALUE;
  shift = 0;
  for (let i: usize = 0; i <= 32; i++) {
    for (let j: usize = i & ~3; j <= 32; j += 4) {
      if (!any_gains(i, j, UP) && !any_gains(i, j, DOWN)) continue;
      for (let cut = max(i, j), end = min(32, j + 3); cut <= end; cut++) {
        try_cut(i, cut, UP);
        try_cut(i, cut, DOWN);
      }
    }
  }
  return shift !== 0;
}

/** Whether try_cut would take one of the four second cuts from `j` on, as things stand. */
function any_gains(i: usize, j: usize, values: usize): bool {
  const low = v128.load32_splat(values);
  const middle = v128.load32_splat(values, 4);
  const high = v128.load32_splat(values, 8);
  const x1 = v128.load32_splat(SUM_X + i * 4);
  const x2 = v128.load(SUM_X + j * 4);
  const w1 = v128.load32_splat(SUM_W + i * 4);
  const w2 = v128.load(SUM_W + j * 4);
  const x3 = f32x4.mul(f32x4.sub(v128.load32_splat(SUM_X, 128), x2), high);
  const w3 = f32x4.mul(f32x4.mul(f32x4.sub(v128.load32_splat(SUM_W, 128), w2), high), high);
  const sum_qx = f32x4.add(f32x4.add(f32x4.mul(x1, low), f32x4.mul(f32x4.sub(x2, x1), middle)), x3);
  const middles = f32x4.mul(f32x4.mul(f32x4.sub(w2, w1), middle), middle);
  const sum_qq = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(w1, low), low), middles), w3);
  return v128.any_true(f32x4.gt(f32x4.mul(sum_qx, sum_qx), f32x4.mul(f32x4.splat(gain), sum_qq)));
}

function try_cut(i: usize, j: usize, values: usize): void {
  const low = load<f32>(values);
  const middle = load<f32>(values, 4);
  const high = load<f32>(values, 8);
  const x1 = load<f32>(SUM_X + i * 4);
  const x2 = load<f32>(SUM_X + j * 4);
  const w1 = load<f32>(SUM_W + i * 4);
  const w2 = load<f32>(SUM_W + j * 4);
  const sum_qx = x1 * low + (x2 - x1) * middle + (load<f32>(SUM_X, 128) - x2) * high;
  const sum_qq = w1 * low * low + (w2 - w1) * middle * middle + (load<f32>(SUM_W, 128) - w2) * high * high;
  if (!(sum_qq > 0 && sum_qx * sum_qx > gain * sum_qq)) return;
  best_scale = sum_qx / sum_qq;
  gain = best_scale * sum_qx;
  first = i;
  second = j;
  shift = values;
}

export function dequantize_row_iq1_s(x: usize, y: usize, n: i32): void {
  const levels = iq1_levels();
  for (const end = y + <usize>n * 4; y < end; x += 50) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 4;
      const high = <u32>load<u16>(x + 34 + k * 2);
      const dl = f32x4.splat(d * <f32>(((high >> 12) & 7) * 2 + 1) * 0.125);
      const eighth = i8x16.splat(high & 0x8000 ? -1 : 1);
      for (let j: u32 = 0; j < 4; j += 2) {
        const first = <u32>load<u8>(q + j) | (((high >> (j * 3)) & 7) << 8);
        const second = <u32>load<u8>(q + j, 1) | (((high >> (j * 3 + 3)) & 7) << 8);
        store_scaled(y + j * 32, i8x16.add(eights(IQ1S_GRID, first, second, levels), eighth), dl);
      }
    }
  }
}
