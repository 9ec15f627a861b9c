// Keys and values of one head, as a cache keeps them (cached_attention.ts reads it). The token at a position is in cell
// position % cells; cells is a multiple of 8, and of 256 where positions come to exceed it. All is as many bytes as rows
// of the type take:
//   keys    panels of 8 cells, in each what the rows have at the same place side by side: a float of each; of blocks
//           d f16[8], then each byte of quants, u8[8]
//   values  panels of 8 columns, the last one of what is left, or of one block of columns: [cells][columns]
// So a query meets the keys, and a weight the values, 8 at a time and without a shuffle.

import { quantize_row_q4_0 } from "../blocks/legacy/q4_0";
import { quantize_row_q8_0 } from "../blocks/legacy/q8_0";
import {
  dequantize_row_bf16,
  dequantize_row_f16,
  dequantize_row_f32,
  f16_to_f32,
  quantize_row_bf16,
  quantize_row_f16,
  quantize_row_f32,
} from "../numbers/f16";

// Numbers of the types: places in KV_TYPES (src/quant/fit/memory.ts).
export const F32: i32 = 0;
const F16: i32 = 1;
const BF16: i32 = 2;
const Q8_0: i32 = 3;

/** Columns of values in a panel. */
export function panel_columns(type: i32): i32 {
  return type >= Q8_0 ? 32 : 8;
}

/** Bytes of `n` elements, which are whole blocks. */
export function kv_size(type: i32, n: i32): usize {
  if (type >= Q8_0) return <usize>(n >> 5) * (type === Q8_0 ? 34 : 18);
  return (<usize>n) << (type === F32 ? 2 : 1);
}

/** Up to 32 elements of a row, quantized. */
const PART: usize = memory.data(128, 16);

/** Keeps the keys of `count` tokens from `position` on: rows of k_length floats, `stride` bytes apart. */
export function store_keys(
  type: i32,
  x: usize,
  stride: usize,
  count: i32,
  position: i32,
  keys: usize,
  cells: i32,
  k_length: i32,
): void {
  for (let token = 0; token < count; token++, x += stride) {
    const cell = (position + token) % cells;
    const panel = keys + <usize>(cell >> 3) * kv_size(type, 8 * k_length);
    for (let done = 0; done < k_length; done += 32) {
      const n = min(32, k_length - done);
      quantize(type, x + ((<usize>done) << 2), PART, n);
      spread(type, panel + kv_size(type, 8 * done), cell & 7, n);
    }
  }
}

/** PART to its places in a panel of keys. */
function spread(type: i32, panel: usize, lane: usize, n: i32): void {
  if (type === F32) {
    for (let i: usize = 0; i < <usize>n; i++) store<u32>(panel + i * 32 + lane * 4, load<u32>(PART + i * 4));
  } else if (type < Q8_0) {
    for (let i: usize = 0; i < <usize>n; i++) store<u16>(panel + i * 16 + lane * 2, load<u16>(PART + i * 2));
  } else {
    store<u16>(panel + lane * 2, load<u16>(PART));
    const quants = kv_size(type, 32) - 2;
    for (let i: usize = 0; i < quants; i++) store<u8>(panel + 16 + i * 8 + lane, load<u8>(PART + 2 + i));
  }
}

/** Keeps the values of `count` tokens from `position` on: rows of v_length floats, `stride` bytes apart. */
export function store_values(
  type: i32,
  x: usize,
  stride: usize,
  count: i32,
  position: i32,
  values: usize,
  cells: i32,
  v_length: i32,
): void {
  const columns = panel_columns(type);
  for (let token = 0; token < count; token++, x += stride) {
    const cell = (position + token) % cells;
    for (let column = 0; column < v_length; column += columns) {
      const n = min(columns, v_length - column);
      const panel = values + <usize>cells * kv_size(type, column);
      quantize(type, x + ((<usize>column) << 2), panel + <usize>cell * kv_size(type, n), n);
    }
  }
}

function quantize(type: i32, x: usize, y: usize, n: i32): void {
  if (type === F32) quantize_row_f32(x, y, n);
  else if (type === F16) quantize_row_f16(x, y, n);
  else if (type === BF16) quantize_row_bf16(x, y, n);
  else if (type === Q8_0) quantize_row_q8_0(x, y, n);
  else quantize_row_q4_0(x, y, n);
}

/** Copies the first `count` cells to those of another cache, which may have another number of them. */
export function copy_cells(
  type: i32,
  keys: usize,
  values: usize,
  cells: i32,
  to_keys: usize,
  to_values: usize,
  to_cells: i32,
  count: i32,
  k_length: i32,
  v_length: i32,
): void {
  memory.copy(to_keys, keys, kv_size(type, ((count + 7) & ~7) * k_length));
  const columns = panel_columns(type);
  for (let column = 0; column < v_length; column += columns) {
    const before = kv_size(type, column);
    const size = <usize>count * kv_size(type, min(columns, v_length - column));
    memory.copy(to_values + <usize>to_cells * before, values + <usize>cells * before, size);
  }
}

/** A panel of keys as f32 [k_length][8]. */
export function widen_keys(type: i32, panel: usize, y: usize, k_length: i32): void {
  if (type < Q8_0) widen_floats(type, panel, y, k_length * 8);
  else
    for (; k_length > 0; k_length -= 32, panel += kv_size(type, 256), y += 1024) {
      if (type === Q8_0) widen_keys_q8_0(panel, y);
      else widen_keys_q4_0(panel, y);
    }
}

function widen_floats(type: i32, x: usize, y: usize, n: i32): void {
  if (type === F16) dequantize_row_f16(x, y, n);
  else if (type === BF16) dequantize_row_bf16(x, y, n);
  else dequantize_row_f32(x, y, n);
}

function widen_keys_q8_0(x: usize, y: usize): void {
  widen_scales(x, y);
  const d0 = v128.load(y);
  const d1 = v128.load(y, 16);
  for (const end = y + 1024; y < end; x += 8, y += 32) store_eight(y, v128.load8x8_s(x, 16), d0, d1);
}

function widen_keys_q4_0(x: usize, y: usize): void {
  widen_scales(x, y);
  const d0 = v128.load(y);
  const d1 = v128.load(y, 16);
  const eight = i16x8.splat(8);
  for (const end = y + 512; y < end; x += 8, y += 32) {
    const q = v128.load8x8_u(x, 16);
    store_eight(y, i16x8.sub(v128.and(q, i16x8.splat(15)), eight), d0, d1);
    store_eight(y + 512, i16x8.sub(i16x8.shr_u(q, 4), eight), d0, d1);
  }
}

/** Eight quants times their scales. */
function store_eight(y: usize, q: v128, d0: v128, d1: v128): void {
  v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(q)), d0));
  v128.store(y, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(q)), d1), 16);
}

/** Eight scales as f32 at `y`, where quants follow. They go through memory: so V8 can pair the vectors that are made of them. */
function widen_scales(x: usize, y: usize): void {
  for (let i: usize = 0; i < 8; i++) store<f32>(y + i * 4, f16_to_f32(load<u16>(x + i * 2)));
}

/**
 * `count` cells of values, columns from `column` on, as up to four panels f32 [count][8] that are `y_stride` bytes
 * apart; what a panel has beyond the last column is zero.
 */
export function widen_values(
  type: i32,
  values: usize,
  cells: i32,
  cell: i32,
  count: i32,
  v_length: i32,
  column: i32,
  y: usize,
  y_stride: usize,
): void {
  const end = min(v_length, column + 32);
  const columns = panel_columns(type);
  for (; column < end; column += columns, y += y_stride) {
    const n = min(columns, v_length - column);
    const x = values + <usize>cells * kv_size(type, column) + <usize>cell * kv_size(type, n);
    if (type === Q8_0) widen_values_q8_0(x, y, y_stride, count);
    else if (type > Q8_0) widen_values_q4_0(x, y, y_stride, count);
    else if (n === 8) widen_floats(type, x, y, count * 8);
    else {
      memory.fill(y, 0, <usize>count * 32);
      const size = kv_size(type, n);
      for (let i: usize = 0; i < <usize>count; i++) widen_floats(type, x + i * size, y + i * 32, n);
    }
  }
}

function widen_values_q8_0(x: usize, y: usize, y_stride: usize, count: i32): void {
  for (; count > 0; count--, x += 34, y += 32) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    store_eight(y, v128.load8x8_s(x, 2), d, d);
    store_eight(y + y_stride, v128.load8x8_s(x, 10), d, d);
    store_eight(y + 2 * y_stride, v128.load8x8_s(x, 18), d, d);
    store_eight(y + 3 * y_stride, v128.load8x8_s(x, 26), d, d);
  }
}

function widen_values_q4_0(x: usize, y: usize, y_stride: usize, count: i32): void {
  const eight = i16x8.splat(8);
  const low = i16x8.splat(15);
  for (; count > 0; count--, x += 18, y += 32) {
    const d = f32x4.splat(f16_to_f32(load<u16>(x)));
    const a = v128.load8x8_u(x, 2);
    const b = v128.load8x8_u(x, 10);
    store_eight(y, i16x8.sub(v128.and(a, low), eight), d, d);
    store_eight(y + y_stride, i16x8.sub(v128.and(b, low), eight), d, d);
    store_eight(y + 2 * y_stride, i16x8.sub(i16x8.shr_u(a, 4), eight), d, d);
    store_eight(y + 3 * y_stride, i16x8.sub(i16x8.shr_u(b, 4), eight), d, d);
  }
}
