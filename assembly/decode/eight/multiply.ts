// Lean weights times more than four tokens, eight at a time: where registers have 256 bits. A panel is read straight on, which
// memory can keep up with; so nothing but its tokens may come between.
import { quant_size, ROWS, TOKENS } from "../../gemm/layout";
import {
  d_size,
  IQ4_NL,
  lean_block_size,
  lean_length,
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
} from "../layout";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "../quants";
import { Of32, Of256 } from "../row";
import { token_blocks_size, token_size } from "../token";
import { add_mins_eight_32, add_mins_eight_256 } from "./mins";
import { multiply_eight, SUMS_SIZE } from "./tile";
import { multiply_eight_words } from "./tile_words";

const EIGHT: usize = 2 * TOKENS;
/** Bytes of eight rows' floats of eight tokens. */
const TILE_SIZE: usize = EIGHT * ROWS * 4;

/** Bytes that multiply_eights needs to work in. */
export const EIGHTS_SCRATCH: usize = SUMS_SIZE + TILE_SIZE;

/** `tokens` tokens, which lie four by four at `x` (token.ts), times `rows` rows at `w`; see multiply_lean. */
export function multiply_eights(
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
  const floats = scratch + SUMS_SIZE;
  const panel_size = (k / lean_length(type)) * lean_block_size(type);
  const next = token_size(form, k) * TOKENS;
  for (let row: usize = 0; row < rows; row += ROWS, w += panel_size, y += ROWS * 4) {
    for (let t: usize = 0; t < tokens; t += EIGHT) {
      const first = x + (t / TOKENS) * next;
      // Where the last four are missing the others are multiplied twice.
      const second = t + TOKENS < tokens ? first + next : first;
      multiply_panel(type, form, first, second, w, floats, k, scratch);
      store_rows(floats, y + t * stride, min(tokens - t, EIGHT), min(rows - row, ROWS), stride);
    }
  }
}

/** Eight rows times eight tokens, to the floats at `y`. */
function multiply_panel(
  type: i32,
  form: i32,
  x: usize,
  z: usize,
  w: usize,
  y: usize,
  k: usize,
  sums: usize,
): void {
  const blocks = k / lean_length(type);
  const w_size = lean_block_size(type);
  for (let p = y; p < y + TILE_SIZE; p += 32) {
    v128.store(p, f32x4.splat(0));
    v128.store(p, f32x4.splat(0), 16);
  }
  multiply_blocks(type, form, x, z, w, w_size, y, sums, blocks);
  if (min_length(type) === 0) return;
  x += token_blocks_size(type, form, k) * TOKENS;
  z += token_blocks_size(type, form, k) * TOKENS;
  w += quants_size(type) + scales_size(type) + d_size(type);
  if (type < Q2_K) add_mins_eight_32(x, z, w, w_size, y, blocks);
  else if (type === Q2_K) add_mins_eight_256<Q2>(x, z, w, w_size, y, blocks);
  else add_mins_eight_256<Q4>(x, z, w, w_size, y, blocks);
}

/** The first `rows` of eight rows' floats of each token to tokens `stride` bytes apart. */
function store_rows(from: usize, y: usize, tokens: usize, rows: usize, stride: usize): void {
  for (; tokens > 0; tokens--, from += ROWS * 4, y += stride) {
    if (rows === ROWS) {
      v128.store(y, v128.load(from));
      v128.store(y, v128.load(from, 16), 16);
    } else memory.copy(y, from, rows * 4);
  }
}

function multiply_blocks(
  type: i32,
  form: i32,
  x: usize,
  z: usize,
  w: usize,
  w_size: usize,
  y: usize,
  sums: usize,
  blocks: usize,
): void {
  if (quant_size(form) === 2) multiply_eight_words(x, z, w, w_size, y, blocks);
  else if (DOT === 0) unreachable();
  else if (type === Q4_0 || type === Q4_1) multiply_eight<Q4, Of32>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q5_0 || type === Q5_1) multiply_eight<Q5, Of32>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q8_0) multiply_eight<Q8, Of32>(x, z, w, w_size, y, sums, blocks);
  else if (type === IQ4_NL) multiply_eight<Iq4, Of32>(x, z, w, w_size, y, sums, blocks);
  else if (type === MXFP4) multiply_eight<Mxfp4, Of32>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q2_K) multiply_eight<Q2, Of256>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q3_K) multiply_eight<Q3, Of256>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q4_K) multiply_eight<Q4, Of256>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q5_K) multiply_eight<Q5, Of256>(x, z, w, w_size, y, sums, blocks);
  else if (type === Q6_K) multiply_eight<Q6, Of256>(x, z, w, w_size, y, sums, blocks);
  else if (type === TERNARY) multiply_eight<Trits, Of256>(x, z, w, w_size, y, sums, blocks);
  else multiply_eight<Iq4, Of256>(x, z, w, w_size, y, sums, blocks);
}
