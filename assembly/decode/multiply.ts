// Products with lean weights. They are read once for all tokens: a panel stays in the cache while tokens pass.

import { bits } from "../gemm/bits";
import { activations_panel_size, quant_size, ROWS, TOKENS } from "../gemm/layout";
import { is_wide } from "../gemm/tiles";
import { EIGHTS_SCRATCH, multiply_eights } from "./eight/multiply";
import {
  d_size,
  IQ4_NL,
  lean_block_size,
  lean_length,
  lean_size,
  MXFP4,
  min_length,
  Q2_K,
  Q3_K,
  Q4_0,
  Q4_1,
  Q4_K,
  Q5_0,
  Q5_1,
  Q5_K,
  Q6_K,
  Q8_0,
  quants_size,
  scales_size,
  TERNARY,
} from "./layout";
import { add_mins_32, add_mins_256 } from "./mins";
import { multiply_parts, parts_scratch } from "./parts";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "./quants";
import { Bytes, multiply_row, Of32, Of256, takes_words, Words } from "./row";
import { multiply_tile } from "./tile";
import { Four, One, take_tokens, token_blocks_size, token_size } from "./token";

/**
 * The most tokens that are multiplied with weights as bytes just as they are. For more it pays to lay them out for ../gemm
 * first (parts.ts): the sooner, the faster the tiles there.
 */
function most_direct(form: i32): usize {
  if (DOT === 32) return 12;
  return is_wide(form) ? 4 : 8;
}

/** Bytes of four times eight floats. They are where the caller says, as V8 pairs no stores to addresses known beforehand. */
const TILE_SIZE: usize = TOKENS * ROWS * 4;

/** Bytes of activations that stay in the nearest cache while weights pass. */
const NEAR: usize = 1 << 14;
/** Bytes of a panel that all tokens pass before its next ones, if there are several tiles and activations are near. */
const PART: usize = 2500;

function is_direct(form: i32, tokens: usize): bool {
  return tokens === 1 || (tokens <= most_direct(form) && quant_size(form) === 1);
}

/** Whether tokens are multiplied eight at a time: more than two fours are faster in parts, but for words. */
function is_by_eights(type: i32, form: i32, tokens: usize): bool {
  if (bits !== 256 || tokens <= TOKENS) return false;
  return quant_size(form) === 1 ? tokens <= 2 * TOKENS : type === Q8_0;
}

/** Bytes that multiply_lean needs to work in. */
export function lean_scratch(type: i32, form: i32, tokens: usize, k: usize): usize {
  if (is_by_eights(type, form, tokens))
    return EIGHTS_SCRATCH + ((tokens + TOKENS - 1) / TOKENS) * TOKENS * token_size(form, k);
  if (!is_direct(form, tokens)) return parts_scratch(type, form, tokens, k);
  const groups = (tokens + TOKENS - 1) / TOKENS;
  return groups * TILE_SIZE + (tokens === 1 ? 1 : groups * TOKENS) * token_size(form, k);
}

/** What matmul_int8 gives for the same weights in `form`, to the bit. */
export function multiply_lean(
  type: i32,
  form: i32,
  x: usize,
  w: usize,
  y: usize,
  tokens: usize,
  rows: usize,
  k: usize,
  stride: usize,
  scratch: usize,
): void {
  if (is_by_eights(type, form, tokens)) {
    const from = scratch + EIGHTS_SCRATCH;
    for (let t: usize = 0; t < tokens; t += TOKENS) {
      const panel = x + (t / TOKENS) * activations_panel_size(form, k);
      take_tokens<Four>(type, form, panel, k, from + t * token_size(form, k));
    }
    multiply_eights(type, form, from, w, y, tokens, rows, k, stride, scratch);
    return;
  }
  if (!is_direct(form, tokens)) {
    multiply_parts(type, form, x, w, y, tokens, rows, k, stride, scratch);
    return;
  }
  const taken = scratch + ((tokens + TOKENS - 1) / TOKENS) * TILE_SIZE;
  if (tokens === 1) take_tokens<One>(type, form, x, k, taken);
  else {
    for (let t: usize = 0; t < tokens; t += TOKENS) {
      const panel = x + (t / TOKENS) * activations_panel_size(form, k);
      take_tokens<Four>(type, form, panel, k, taken + t * token_size(form, k));
    }
  }
  const w_size = lean_size(type, ROWS, k);
  const end = w + lean_size(type, rows, k);
  for (let row: usize = 0; row < rows; row += ROWS, w += w_size, y += ROWS * 4) {
    const count = min(rows - row, ROWS);
    if (tokens === 1) {
      multiply_once(type, form, taken, w, scratch, k);
      memory.copy(y, scratch, count * 4);
    } else {
      multiply_panel(type, form, taken, w, end, scratch, tokens, k);
      for (let t: usize = 0; t < tokens; t++) memory.copy(y + t * stride, scratch + t * ROWS * 4, count * 4);
    }
  }
}

/** Eight rows times one token, to eight floats at `y`. A panel takes less than half a microsecond: no more than it needs. */
function multiply_once(type: i32, form: i32, x: usize, w: usize, y: usize, k: usize): void {
  const blocks = k / lean_length(type);
  const w_size = lean_block_size(type);
  if (quant_size(form) === 2) multiply_blocks<One, Words>(type, x, w, w_size, y, blocks);
  else if (DOT === 0) unreachable();
  else multiply_blocks<One, Bytes>(type, x, w, w_size, y, blocks);
  if (min_length(type) === 0) return;
  w += quants_size(type) + scales_size(type) + d_size(type);
  add_mins<One>(type, x + token_blocks_size(type, form, k), w, w_size, y, blocks);
}

/**
 * Eight rows times `tokens` tokens, which lie four by four at `x`, to eight floats of each at `y`. A part of the weights is
 * asked for while tokens pass the one before, as otherwise memory is idle while all but the first do. Weights end at `end`.
 */
function multiply_panel(
  type: i32,
  form: i32,
  x: usize,
  w: usize,
  end: usize,
  y: usize,
  tokens: usize,
  k: usize,
): void {
  const blocks = k / lean_length(type);
  const w_size = lean_block_size(type);
  const x_end = token_blocks_size(type, form, k) * TOKENS;
  const isNear = tokens * k <= NEAR;
  const step = tokens > TOKENS && isNear ? max(PART / w_size, 1) : blocks;
  const next = token_size(form, k) * TOKENS;
  memory.fill(y, 0, ((tokens + TOKENS - 1) / TOKENS) * TILE_SIZE);
  for (let b: usize = 0; b < blocks; b += step) {
    const count = min(blocks - b, step);
    const part = w + b * w_size;
    let xt = x + b * (x_end / blocks);
    let yt = y;
    for (let t: usize = 0; t < tokens; t += TOKENS, xt += next, yt += TILE_SIZE) {
      if (t > 0 && (isNear || t + TOKENS >= tokens))
        ask_for(part + count * w_size, min(part + 2 * count * w_size, end));
      if (DOT === 0) unreachable();
      else multiply_blocks<Four, Bytes>(type, xt, part, w_size, yt, count);
    }
  }
  if (min_length(type) === 0) return;
  w += quants_size(type) + scales_size(type) + d_size(type);
  for (let t: usize = 0; t < tokens; t++, y += ROWS * 4) {
    const xt = x + x_end + (t / TOKENS) * next + (t % TOKENS) * 4;
    add_mins<Four>(type, xt, w, w_size, y, blocks);
  }
}

function add_mins<N>(type: i32, x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  if (type < Q2_K) add_mins_32<N>(x, w, w_size, y, blocks);
  else if (type === Q2_K) add_mins_256<Q2, N>(x, w, w_size, y, blocks);
  else add_mins_256<Q4, N>(x, w, w_size, y, blocks);
}

/** Loads of which nothing is used, which no compiler leaves out as they might trap. */
function ask_for(p: usize, end: usize): void {
  for (; p < end; p += 64) load<i32>(p);
}

function multiply_blocks<N, F>(type: i32, x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  if (type === Q4_0 || type === Q4_1) multiply<N, Q4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q5_0 || type === Q5_1) multiply<N, Q5, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q8_0) multiply<N, Q8, Of32, F>(x, w, w_size, y, blocks);
  else if (type === IQ4_NL) multiply<N, Iq4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === MXFP4) multiply<N, Mxfp4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q2_K) multiply<N, Q2, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q3_K) multiply<N, Q3, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q4_K) multiply<N, Q4, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q5_K) multiply<N, Q5, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q6_K) multiply<N, Q6, Of256, F>(x, w, w_size, y, blocks);
  else if (type === TERNARY) multiply<N, Trits, Of256, F>(x, w, w_size, y, blocks);
  else multiply<N, Iq4, Of256, F>(x, w, w_size, y, blocks);
}

function multiply<N, K, L, F>(x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  if (idof<F>() === idof<Words>() && !takes_words<K, L>()) unreachable();
  else if (idof<N>() === idof<One>()) multiply_row<K, L, F>(x, w, w_size, y, blocks);
  else if (idof<F>() === idof<Bytes>()) multiply_tile<K, L>(x, w, w_size, y, blocks);
  else unreachable();
}
