// Products with lean weights. They are read once for all tokens, and straight on: what a core asks for ahead is what comes next,
// unless activations are missing from the nearest cache meanwhile.
import { bits } from "../gemm/bits";
import { activations_panel_size, quant_size, ROWS, TOKENS } from "../gemm/layout";
import { is_wide } from "../gemm/tiles";
import { multiply_blocks } from "./blocks";
import { multiply_eight_blocks } from "./eight/blocks";
import { add_mins_eight_32, add_mins_eight_256 } from "./eight/mins";
import { SUMS_SIZE } from "./eight/tile";
import {
  lean_block_size,
  lean_length,
  lean_mins_size,
  lean_size,
  min_length,
  mins_at,
  part_blocks,
  Q2_K,
  Q8_0,
  UNIT,
} from "./layout";
import { add_mins_32, add_mins_256 } from "./mins";
import { multiply_parts, parts_scratch } from "./parts";
import { Q2, Q4 } from "./quants";
import { Bytes, Words } from "./row";
import { Four, One, take_tokens, token_blocks_size, token_size } from "./token";

/** Bytes of eight floats. */
const FLOATS: usize = ROWS * 4;

/**
 * Tokens that are multiplied at once with weights just as they are; 0 where it pays to lay weights out for ../gemm first
 * (parts.ts): the sooner, the faster the tiles there. Four with words are none, and eight take registers of 256 bits.
 */
function tokens_at_once(type: i32, form: i32, tokens: usize): usize {
  if (tokens === 1) return 1;
  const isWords = quant_size(form) === 2;
  if (bits === 256 && tokens > TOKENS && (isWords ? type === Q8_0 : tokens <= 2 * TOKENS)) return 2 * TOKENS;
  return !isWords && tokens <= most_fours(form) ? TOKENS : 0;
}

function most_fours(form: i32): usize {
  if (DOT === 32) return 12;
  return is_wide(form) ? 4 : 8;
}

/** A number of tokens in whole panels of activations, or one. */
function whole_panels(tokens: usize): usize {
  return tokens === 1 ? 1 : ((tokens + TOKENS - 1) / TOKENS) * TOKENS;
}

/** Tokens in whole tiles. */
function padded(tokens: usize, at_once: usize): usize {
  return ((tokens + at_once - 1) / at_once) * at_once;
}

/** Bytes of a unit's floats, [panels][tokens][8]. They are where the caller says, as V8 pairs no stores to addresses known beforehand. */
function floats_size(tokens: usize, at_once: usize): usize {
  return UNIT * padded(tokens, at_once) * FLOATS;
}

/** Bytes that multiply_lean needs to work in. */
export function lean_scratch(type: i32, form: i32, tokens: usize, k: usize): usize {
  const at_once = tokens_at_once(type, form, tokens);
  if (at_once === 0) return parts_scratch(type, form, tokens, k);
  return SUMS_SIZE + floats_size(tokens, at_once) + whole_panels(tokens) * token_size(form, k);
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
  const at_once = tokens_at_once(type, form, tokens);
  if (at_once === 0) {
    multiply_parts(type, form, x, w, y, tokens, rows, k, stride, scratch);
    return;
  }
  const floats = scratch + SUMS_SIZE;
  const taken = floats + floats_size(tokens, at_once);
  if (tokens === 1) take_tokens<One>(type, form, x, k, taken);
  else {
    for (let t: usize = 0; t < tokens; t += TOKENS) {
      const panel = x + (t / TOKENS) * activations_panel_size(form, k);
      take_tokens<Four>(type, form, panel, k, taken + t * token_size(form, k));
    }
  }
  const blocks = k / lean_length(type);
  const all = (rows + ROWS - 1) / ROWS;
  const unit_size = lean_size(type, UNIT * ROWS, k);
  const next = token_size(form, k) * TOKENS;
  const sums = taken + token_blocks_size(type, form, k) * (tokens === 1 ? 1 : TOKENS);
  const panel_floats = padded(tokens, at_once) * FLOATS;
  for (let panel: usize = 0; panel < all; panel += UNIT, w += unit_size) {
    const panels = min(all - panel, UNIT);
    clear(floats, panels * panel_floats);
    multiply_unit(type, form, taken, w, floats, tokens, at_once, panels, k, scratch);
    for (let p: usize = 0; p < panels; p++) {
      if (min_length(type) !== 0) {
        const mins = w + mins_at(type, p, panels, blocks);
        add_mins(type, sums, next, mins, floats + p * panel_floats, tokens, at_once, blocks);
      }
      const row = (panel + p) * ROWS;
      store_rows(floats + p * panel_floats, y + row * 4, tokens, min(rows - row, ROWS), stride);
    }
  }
}

/** A unit of panels times all tokens, a part after the other: what tokens have there stays in the nearest cache meanwhile. */
function multiply_unit(
  type: i32,
  form: i32,
  x: usize,
  w: usize,
  y: usize,
  tokens: usize,
  at_once: usize,
  panels: usize,
  k: usize,
  sums: usize,
): void {
  const blocks = k / lean_length(type);
  const w_size = lean_block_size(type);
  const x_size = (token_blocks_size(type, form, k) / blocks) * (tokens === 1 ? 1 : TOKENS);
  const next = token_size(form, k) * TOKENS;
  for (let b: usize = 0; b < blocks; b += part_blocks(type)) {
    const count = min(part_blocks(type), blocks - b);
    let to = y;
    for (let p: usize = 0; p < panels; p++, w += count * w_size) {
      for (let t: usize = 0; t < tokens; t += at_once, to += at_once * FLOATS) {
        const xt = x + (t / TOKENS) * next + b * x_size;
        if (at_once === 2 * TOKENS) {
          // Where the last four are missing the others are multiplied twice.
          const z = t + TOKENS < tokens ? xt + next : xt;
          multiply_eight_blocks(type, form, xt, z, w, w_size, to, sums, count);
        } else if (quant_size(form) === 2) multiply_blocks<One, Words>(type, xt, w, w_size, to, count);
        else if (DOT === 0) unreachable();
        else if (at_once === 1) multiply_blocks<One, Bytes>(type, xt, w, w_size, to, count);
        else multiply_blocks<Four, Bytes>(type, xt, w, w_size, to, count);
      }
    }
  }
}

/** Adds the mins of a panel, at `w`, times the sums of all tokens. */
function add_mins(
  type: i32,
  x: usize,
  next: usize,
  w: usize,
  y: usize,
  tokens: usize,
  at_once: usize,
  blocks: usize,
): void {
  const w_size = lean_mins_size(type);
  const step: usize = at_once === 2 * TOKENS ? at_once : 1;
  for (let t: usize = 0; t < tokens; t += step, y += step * FLOATS) {
    const xt = x + (t / TOKENS) * next + (t % TOKENS) * 4;
    if (step !== 1) add_mins_of_eight(type, xt, t + TOKENS < tokens ? xt + next : xt, w, w_size, y, blocks);
    else if (tokens === 1) add_mins_of<One>(type, xt, w, w_size, y, blocks);
    else add_mins_of<Four>(type, xt, w, w_size, y, blocks);
  }
}

function add_mins_of<N>(type: i32, x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  if (type < Q2_K) add_mins_32<N>(x, w, w_size, y, blocks);
  else if (type === Q2_K) add_mins_256<Q2, N>(x, w, w_size, y, blocks);
  else add_mins_256<Q4, N>(x, w, w_size, y, blocks);
}

function add_mins_of_eight(
  type: i32,
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  blocks: usize,
): void {
  if (type < Q2_K) add_mins_eight_32(x, z, w, w_size, y, blocks);
  else if (type === Q2_K) add_mins_eight_256<Q2>(x, z, w, w_size, y, blocks);
  else add_mins_eight_256<Q4>(x, z, w, w_size, y, blocks);
}

function clear(y: usize, size: usize): void {
  for (const end = y + size; y < end; y += 32) {
    v128.store(y, f32x4.splat(0));
    v128.store(y, f32x4.splat(0), 16);
  }
}

/** The first `rows` of eight rows' floats of each token to tokens `stride` bytes apart. */
function store_rows(from: usize, y: usize, tokens: usize, rows: usize, stride: usize): void {
  for (; tokens > 0; tokens--, from += FLOATS, y += stride) {
    if (rows === ROWS) {
      v128.store(y, v128.load(from));
      v128.store(y, v128.load(from, 16), 16);
    } else memory.copy(y, from, rows * 4);
  }
}
