// Attention of the newest token of several sequences that begin with the same tokens, for one key/value head: what cached_attention
// gives, to the bit. The keys and values that all have are widened once for as many queries as there are in a block, those of
// each alone for its own.

import { pack_panels4 } from "../gemm/matmul_f32";
import { BLOCK, mix, ROWS, round_up8, score, scores_length, tile_size } from "./cached_attention";
import { bend_row, scale_row, softmax_row } from "./softmax";

/** Bytes of a sequence in the table. */
const ENTRY: usize = 12;

/** Where a sequence's keys and values are, and the position of its newest token. */
function keys_of(entry: usize): usize {
  return load<u32>(entry);
}

function values_of(entry: usize): usize {
  return load<u32>(entry, 4);
}

function position_of(entry: usize): i32 {
  return load<i32>(entry, 8);
}

/**
 * @param table of `count` sequences, whose caches have as many cells and have lost none
 * @param shared tokens that all begin with, a multiple of BLOCK; the newest of none is among them
 * @param q a row for each sequence, group × k_length floats, position applied; q_stride bytes apart
 * @param o a row for each, group × v_length floats; o_stride bytes apart
 * @param group at most ROWS. This and the other parameters as cached_attention has them
 * @param scratch cached_attention_scratch(cells, count × group, ...) bytes
 */
export function shared_attention(
  type: i32,
  table: usize,
  count: usize,
  shared: i32,
  cells: i32,
  q: usize,
  q_stride: usize,
  o: usize,
  o_stride: usize,
  group: usize,
  k_length: i32,
  v_length: i32,
  scale: f32,
  cap: f32,
  slopes: usize,
  sinks: usize,
  scratch: usize,
): void {
  const k_size = <usize>k_length * 4;
  const o_size = <usize>v_length * 4;
  const y_stride = <usize>round_up8(v_length) * 4;
  const together = <usize>ROWS / group;
  const most = min(count, together) * group;
  const tile = scratch;
  const queries = tile + tile_size(k_length);
  const packed = queries + most * k_size;
  const scores = packed + most * k_size;
  const weights = scores + most * <usize>scores_length(cells) * 4;
  const outputs = weights + most * BLOCK * 4;
  const heads = <i32>group;

  for (let done: usize = 0; done < count; done += together, table += together * ENTRY) {
    const some = min(together, count - done);
    const rows = <i32>(some * group);
    let longest = 0;
    for (let i: usize = 0; i < some; i++) {
      longest = max(longest, position_of(table + i * ENTRY) + 1);
      memory.copy(queries + i * group * k_size, q + (done + i) * q_stride, group * k_size);
    }
    const stride = <usize>round_up8(longest) * 4;
    memory.fill(scores, 0, <usize>rows * stride);
    memory.fill(outputs, 0, <usize>rows * y_stride);
    pack_panels4(queries, k_size, rows & ~3, k_length, packed);
    score(type, keys_of(table), cells, 0, shared, queries, packed, rows, k_length, scores, stride, tile);

    for (let i: usize = 0; i < some; i++) {
      const entry = table + i * ENTRY;
      const own = queries + i * group * k_size;
      const last = position_of(entry);
      const n = round_up8(last + 1);
      let at = scores + i * group * stride;
      pack_panels4(own, k_size, heads & ~3, k_length, packed);
      const rest = at + <usize>shared * 4;
      score(
        type,
        keys_of(entry),
        cells,
        shared,
        n - shared,
        own,
        packed,
        heads,
        k_length,
        rest,
        stride,
        tile,
      );
      for (let head: usize = 0; head < group; head++, at += stride) {
        let left = scale;
        if (cap > 0 || slopes !== 0 || sinks !== 0) {
          bend_row(at, n, last, scale, cap, slopes === 0 ? 0 : load<f32>(slopes + head * 4));
          left = 1;
        }
        const sink: f32 = sinks === 0 ? -Infinity : load<f32>(sinks + head * 4);
        // The queries are done with: their place is that of the factors.
        store<f32>(own + head * 4, softmax_row(at, n, 0, last, left, sink));
      }
    }

    mix(type, values_of(table), cells, 0, 0, shared, scores, stride, rows, v_length, outputs, weights, tile);
    for (let i: usize = 0; i < some; i++) {
      const entry = table + i * ENTRY;
      const first = i * group;
      const end = position_of(entry) + 1;
      const x = scores + first * stride;
      let y = outputs + first * y_stride;
      mix(type, values_of(entry), cells, 0, shared, end, x, stride, heads, v_length, y, weights, tile);
      let to = o + (done + i) * o_stride;
      const factors = queries + first * k_size;
      for (let head: usize = 0; head < group; head++, y += y_stride, to += o_size) {
        scale_row(y, to, v_length, load<f32>(factors + head * 4));
      }
    }
  }
}
