// Causal attention of the newest tokens of one key/value head to all that a cache keeps of it (kv_cells.ts): the formula
// of attention.ts.
//
// A query's output has the same bits however many are computed with it and whatever lies behind: scores are sums over
// k_length in order, weights are summed in order of position, values too, over blocks of BLOCK positions that begin at
// its multiples. Without a window these are the bits of attention.ts.
//
// A block of queries, those of the group's heads at some tokens, goes through the cache together: what it needs next is
// widened into a tile of a few kB, four rows at a time are multiplied with it, and what is left of fours row by row.

import { add_rows, add_tiles, pack_panels4 } from "../gemm/matmul_f32";
import { F32, kv_size, widen_keys, widen_values } from "./kv_cells";
import { bend_row, first_seen, scale_row, softmax_row } from "./softmax";

/** Queries in a block. */
export const ROWS: i32 = 32;
/** Positions whose weighted values are summed before they are added to the others', and steps of a long dot product. */
export const BLOCK: i32 = 256;

/**
 * Bytes of scratch memory that `cached_attention` needs.
 * @param rows tokens × heads of the group
 */
export function cached_attention_scratch(cells: i32, rows: i32, k_length: i32, v_length: i32): usize {
  const row = 2 * k_length + scores_length(cells) + BLOCK + round_up8(v_length);
  return <usize>min(rows, ROWS) * <usize>row * 4 + tile_size(k_length);
}

/** Of four panels of keys, or of values. */
export function tile_size(k_length: i32): usize {
  return 128 * <usize>max(k_length, BLOCK);
}

/** Of one query, from a multiple of 8 to another. */
export function scores_length(cells: i32): i32 {
  return cells + 16;
}

/**
 * @param type of keys and values, see kv_cells.ts
 * @param q rows of tokens, in each group × k_length floats, positions applied; q_stride bytes apart
 * @param o rows of tokens, in each group × v_length floats; o_stride bytes apart. May be q when lengths and strides are
 * equal
 * @param count tokens, the last of those whose keys and values are stored
 * @param position of the first of them
 * @param group heads that share the keys and values
 * @param cap of the scores; 0 for none
 * @param slopes [group] of ALiBi; 0 for none
 * @param sinks [group]; 0 for none
 * @param window tokens a query sees, itself included; 0 for all before it
 * @param chunked whether windows are chunks; 0 or 1
 * @param prefix tokens at the start that every query sees, all stored; none with slopes or a window
 * @param scratch cached_attention_scratch(...) bytes
 */
export function cached_attention(
  type: i32,
  keys: usize,
  values: usize,
  cells: i32,
  q: usize,
  q_stride: usize,
  o: usize,
  o_stride: usize,
  count: i32,
  position: i32,
  group: i32,
  k_length: i32,
  v_length: i32,
  scale: f32,
  cap: f32,
  slopes: usize,
  sinks: usize,
  window: i32,
  chunked: i32,
  prefix: i32,
  scratch: usize,
): void {
  const k_size = <usize>k_length * 4;
  const o_size = <usize>v_length * 4;
  const most = <usize>min(count * group, ROWS);
  const tile = scratch;
  const queries = tile + tile_size(k_length);
  const packed = queries + most * k_size;
  const scores = packed + most * k_size;
  const weights = scores + most * <usize>scores_length(cells) * 4;
  const outputs = weights + most * BLOCK * 4;

  for (let done = 0; done < count * group; done += ROWS) {
    const rows = min(ROWS, count * group - done);
    const fours = rows & ~3;
    const first = position + done / group;
    const end = max(position + (done + rows - 1) / group + 1, prefix); // of the keys that are seen
    const earliest = first_seen(first, window, chunked);
    const base = earliest & ~7;
    const n = round_up8(end - base);
    const stride = <usize>n * 4;

    for (let row = 0; row < rows; row++) {
      const from = q + <usize>((done + row) / group) * q_stride + <usize>((done + row) % group) * k_size;
      memory.copy(queries + <usize>row * k_size, from, k_size);
    }
    pack_panels4(queries, k_size, fours, k_length, packed);
    memory.fill(scores, 0, <usize>rows * stride);
    score(type, keys, cells, base, n, queries, packed, rows, k_length, scores, stride, tile);

    for (let row = 0; row < rows; row++) {
      const head = (<usize>((done + row) % group)) << 2;
      const own = position + (done + row) / group;
      const last = max(own, prefix - 1) - base; // the key at the query's own position, or beyond
      const least = max(0, first_seen(own, window, chunked) - base);
      const at = scores + <usize>(row * n) * 4;
      let left = scale; // what the scores are still to be multiplied by
      if (cap > 0 || slopes !== 0 || sinks !== 0) {
        bend_row(at, n, last, scale, cap, slopes === 0 ? 0 : load<f32>(slopes + head));
        left = 1;
      }
      const sink: f32 = sinks === 0 ? -Infinity : load<f32>(sinks + head);
      // The queries are done with: their place is that of the factors.
      store<f32>(queries + ((<usize>row) << 2), softmax_row(at, n, least, last, left, sink));
    }

    memory.fill(outputs, 0, <usize>(rows * round_up8(v_length)) * 4);
    mix(type, values, cells, base, earliest, end, scores, stride, rows, v_length, outputs, weights, tile);
    for (let row = 0; row < rows; row++) {
      const to = o + <usize>((done + row) / group) * o_stride + <usize>((done + row) % group) * o_size;
      const from = outputs + <usize>(row * round_up8(v_length)) * 4;
      scale_row(from, to, v_length, load<f32>(queries + ((<usize>row) << 2)));
    }
  }
}

export function round_up8(n: i32): i32 {
  return (n + 7) & ~7;
}

/**
 * Adds queries · keys of the `n` positions from `base` on to scores[rows], `stride` bytes apart. Those of cells that are not
 * stored mean nothing.
 * @param packed the queries in fours, panels; what is left of fours is taken from `queries`
 */
export function score(
  type: i32,
  keys: usize,
  cells: i32,
  base: i32,
  n: i32,
  queries: usize,
  packed: usize,
  rows: i32,
  k_length: i32,
  scores: usize,
  stride: usize,
  tile: usize,
): void {
  const panel_size = kv_size(type, 8 * k_length);
  const w_stride = <usize>k_length * 32;
  const fours = rows & ~3;
  for (let key = base, next = 0; key < base + n; key = next) {
    next = min((key | 31) + 1, base + n);
    const panels = (next - key) >> 3;
    const stored = keys + <usize>((key % cells) >> 3) * panel_size;
    let w = stored;
    if (type !== F32) {
      w = tile;
      for (let i: usize = 0; i < <usize>panels; i++) {
        widen_keys(type, stored + i * panel_size, tile + i * w_stride, k_length);
      }
    }
    const y = scores + <usize>(key - base) * 4;
    for (let done = 0; done < k_length; done += BLOCK) {
      const steps = min(BLOCK, k_length - done);
      add(
        packed + <usize>done * 16,
        <usize>k_length * 16,
        queries + <usize>fours * k_length * 4 + <usize>done * 4,
        <usize>k_length * 4,
        rows,
        w + <usize>done * 32,
        w_stride,
        panels,
        y,
        stride,
        steps,
      );
    }
  }
}

/**
 * Adds weights · values of positions earliest to end to outputs[rows][round_up8(v_length)]; scores[rows], `stride` bytes
 * apart, have the weights from position `base` on.
 */
export function mix(
  type: i32,
  values: usize,
  cells: i32,
  base: i32,
  earliest: i32,
  end: i32,
  scores: usize,
  stride: usize,
  rows: i32,
  v_length: i32,
  outputs: usize,
  weights: usize,
  tile: usize,
): void {
  const y_stride = <usize>round_up8(v_length) * 4;
  const fours = rows & ~3;
  for (let key = earliest, next = 0; key < end; key = next) {
    next = min((key | (BLOCK - 1)) + 1, end);
    const steps = next - key;
    const cell = key % cells;
    const x = scores + <usize>(key - base) * 4;
    pack_panels4(x, stride, fours, steps, weights);
    for (let column = 0; column < v_length; column += 32) {
      const columns = min(32, v_length - column);
      const panels = (columns + 7) >> 3;
      let w = tile;
      let w_stride: usize = BLOCK * 32;
      if (type === F32 && (columns & 7) === 0) {
        w = values + <usize>cells * <usize>column * 4 + <usize>cell * 32;
        w_stride = <usize>cells * 32;
      } else widen_values(type, values, cells, cell, steps, v_length, column, tile, w_stride);
      add(
        weights,
        <usize>steps * 16,
        x + <usize>fours * stride,
        stride,
        rows,
        w,
        w_stride,
        panels,
        outputs + <usize>column * 4,
        y_stride,
        steps,
      );
    }
  }
}

/** Adds to y[rows] the product with up to four panels. Rows in fours are packed, the others from `rest` on as they are. */
function add(
  packed: usize,
  packed_stride: usize,
  rest: usize,
  rest_stride: usize,
  rows: i32,
  w: usize,
  w_stride: usize,
  panels: i32,
  y: usize,
  y_stride: usize,
  steps: i32,
): void {
  const fours = rows & ~3;
  for (let i: usize = 0; i < <usize>panels; i++) {
    add_tiles(packed, packed_stride, w + i * w_stride, y + i * 32, y_stride, steps, fours);
  }
  add_rows(
    rest,
    rest_stride,
    w,
    w_stride,
    panels,
    y + <usize>fours * y_stride,
    y_stride,
    steps,
    rows - fours,
  );
}
