// Causal attention of one chunk in f32, query heads sharing key/value heads (GQA):
//   s[i, j] = scale q[i] · k[j] - slope (i - j) for i - window < j <= i,   o[i] = Σ_j softmax(s[i])[j] v[j]
// where scale q · k may be capped: cap tanh(scale q · k / cap). The tokens of a prefix see each other, later ones too.
// Windows that are chunks do not go on with the queries: i sees what is between the last multiple of them and itself. A
// sink is a score that counts in a head's softmax as one more key would, but has no value.
//
// Both products are matrix products over packed panels (matmul_f32.ts). K and V are packed once for each
// key/value head; a block of queries then sees its keys only, and the scores of one block are all that is kept.
import { matmul_panels, pack_blocks4, pack_panels8 } from "../gemm/matmul_f32";
import { bend_row, first_seen, scale_row, softmax_row } from "./softmax";

/** Queries in a block; its scores take QUERIES × tokens floats. */
const QUERIES: i32 = 32;

/** Bytes of scratch memory that `attention` needs. */
export function attention_scratch(tokens: i32, k_length: i32, v_length: i32): usize {
  const padded = <usize>round_up8(tokens);
  const lengths = <usize>(k_length + round_up8(v_length));
  const panels = padded * lengths * 4; // of K and V
  const scores = <usize>QUERIES * padded * 8; // once in rows, once in panels
  const block = <usize>QUERIES * (lengths + 1) * 4; // of queries, outputs and their factors
  return panels + scores + block;
}

/**
 * @param q [tokens][heads × k_length], positions applied
 * @param k [tokens][heads_kv × k_length]
 * @param v [tokens][heads_kv × v_length]
 * @param o [tokens][heads × v_length], output; may be q when the lengths are equal
 * @param cap of the scores; 0 for none
 * @param slopes [heads] of ALiBi; 0 for none
 * @param sinks [heads]; 0 for none
 * @param window tokens a query sees, itself included; 0 for all before it
 * @param chunked whether windows are chunks; 0 or 1
 * @param prefix tokens at the start that every query sees; none with slopes or a window
 * @param scratch attention_scratch(...) bytes
 * @param first_head of the queries' heads that are computed
 * @param count of them
 */
export function attention(
  q: usize,
  k: usize,
  v: usize,
  o: usize,
  tokens: i32,
  heads: i32,
  heads_kv: i32,
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
  first_head: i32,
  count: i32,
): void {
  const end_head = first_head + count;
  const padded = round_up8(tokens);
  const v_padded = round_up8(v_length);
  const k_panels = scratch;
  const v_panels = k_panels + <usize>padded * k_length * 4;
  const scores = v_panels + <usize>padded * v_padded * 4;
  const weights = scores + <usize>QUERIES * padded * 4;
  const queries = weights + <usize>QUERIES * padded * 4;
  const outputs = queries + <usize>QUERIES * k_length * 4;
  const factors = outputs + <usize>QUERIES * v_padded * 4;

  const q_stride = <usize>(heads * k_length) * 4;
  const o_stride = <usize>(heads * v_length) * 4;
  const group = heads / heads_kv;

  for (let head_kv = first_head / group; head_kv * group < end_head; head_kv++) {
    const k_head = k + <usize>(head_kv * k_length) * 4;
    const v_head = v + <usize>(head_kv * v_length) * 4;
    pack_panels8(k_head, <usize>(heads_kv * k_length) * 4, tokens, k_length, k_panels);
    pack_columns8(v_head, <usize>(heads_kv * v_length) * 4, tokens, v_length, v_panels);
    const end = min((head_kv + 1) * group, end_head);
    for (let head = max(head_kv * group, first_head); head < end; head++) {
      for (let first = 0; first < tokens; first += QUERIES) {
        const count = min(QUERIES, tokens - first);
        const first_key = first_seen(first, window, chunked) & ~7;
        const keys = round_up8(max(first + count, prefix) - first_key);

        pack_blocks4(
          q + <usize>first * q_stride + <usize>(head * k_length) * 4,
          q_stride,
          count,
          k_length,
          queries,
        );
        const seen_k = k_panels + <usize>first_key * k_length * 4;
        matmul_panels(queries, seen_k, <usize>k_length * 32, scores, count, keys, k_length);

        for (let i = 0; i < count; i++) {
          const last = max(first + i, prefix - 1) - first_key; // the key at the query's own position, or beyond
          const earliest = max(0, first_seen(first + i, window, chunked) - first_key);
          const row = scores + <usize>(i * keys) * 4;
          let left = scale; // what the scores are still to be multiplied by
          if (cap > 0 || slopes !== 0 || sinks !== 0) {
            const slope: f32 = slopes === 0 ? 0 : load<f32>(slopes + ((<usize>head) << 2));
            bend_row(row, keys, last, scale, cap, slope);
            left = 1;
          }
          const sink: f32 = sinks === 0 ? -Infinity : load<f32>(sinks + ((<usize>head) << 2));
          const factor = softmax_row(row, keys, earliest, last, left, sink);
          store<f32>(factors + ((<usize>i) << 2), factor);
        }

        pack_blocks4(scores, <usize>keys * 4, count, keys, weights);
        const seen_v = v_panels + <usize>first_key * 32;
        matmul_panels(weights, seen_v, <usize>padded * 32, outputs, count, v_length, keys);
        for (let i = 0; i < count; i++) {
          const output = o + <usize>(first + i) * o_stride + <usize>(head * v_length) * 4;
          scale_row(
            outputs + <usize>(i * v_padded) * 4,
            output,
            v_length,
            load<f32>(factors + ((<usize>i) << 2)),
          );
        }
      }
    }
  }
}

function round_up8(n: i32): i32 {
  return (n + 7) & ~7;
}

/** Packs columns instead of rows: `n` columns of `rows` floats into panels of eight [round_up8(rows)][8]. */
function pack_columns8(x: usize, stride: usize, rows: i32, n: i32, y: usize): void {
  const padded = round_up8(rows);
  for (let column = 0; column < n; column += 8, x += 32) {
    const whole = column + 8 <= n;
    for (let row = 0; row < padded; row++, y += 32) {
      const from = x + <usize>row * stride;
      if (row < rows && whole) {
        v128.store(y, v128.load(from));
        v128.store(y, v128.load(from, 16), 16);
      } else {
        memory.fill(y, 0, 32);
        if (row < rows) memory.copy(y, from, <usize>(n - column) * 4);
      }
    }
  }
}
