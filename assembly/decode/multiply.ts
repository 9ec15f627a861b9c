// Products with lean weights: of one token at once, of more by way of the layout of ../gemm, a panel at a time.
import { HEADER_SIZE, quant_size, ROWS, weights_panel_size } from "../gemm/layout";
import { matmul_int8 } from "../gemm/matmul_int8";
import { expand_lean } from "./expand";
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
} from "./layout";
import { add_mins_32, add_mins_256 } from "./mins";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "./quants";
import { Bytes, multiply_row, Of32, Of256, Words } from "./row";
import { take_token, token_blocks_size, token_size } from "./token";

const eight = memory.data(32, 16);

/** Bytes that multiply_lean needs to work in. */
export function lean_scratch(type: i32, form: i32, tokens: usize, k: usize): usize {
  if (tokens === 1) return token_size(form, k);
  return HEADER_SIZE + weights_panel_size(form, k, min_length(type));
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
  const panel = (k / lean_length(type)) * lean_block_size(type);
  if (tokens === 1) take_token(type, form, x, 0, k, scratch);
  for (let row: usize = 0; row < rows; row += ROWS, w += panel, y += ROWS * 4) {
    const count = min(rows - row, ROWS);
    if (tokens === 1) {
      const to = count === ROWS ? y : eight;
      multiply_panel(type, form, scratch, w, to, k);
      if (count !== ROWS) memory.copy(y, eight, count * 4);
    } else {
      expand_lean(type, form, w, count, k, scratch);
      matmul_int8(x, scratch, y, tokens, stride);
    }
  }
}

/** Eight rows times one token, to eight floats. */
function multiply_panel(type: i32, form: i32, x: usize, w: usize, y: usize, k: usize): void {
  const blocks = k / lean_length(type);
  const w_size = lean_block_size(type);
  if (quant_size(form) === 2) row<Words>(type, x, w, w_size, y, blocks);
  else if (DOT === 0) unreachable();
  else row<Bytes>(type, x, w, w_size, y, blocks);
  if (min_length(type) === 0) return;
  x += token_blocks_size(type, form, k);
  w += quants_size(type) + scales_size(type) + d_size(type);
  if (type < Q2_K) add_mins_32(x, w, w_size, y, blocks);
  else if (type === Q2_K) add_mins_256<Q2>(x, w, w_size, y, blocks);
  else add_mins_256<Q4>(x, w, w_size, y, blocks);
}

function row<F>(type: i32, x: usize, w: usize, w_size: usize, y: usize, blocks: usize): void {
  if (type === Q4_0 || type === Q4_1) multiply_row<Q4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q5_0 || type === Q5_1) multiply_row<Q5, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q8_0) multiply_row<Q8, Of32, F>(x, w, w_size, y, blocks);
  else if (type === IQ4_NL) multiply_row<Iq4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === MXFP4) multiply_row<Mxfp4, Of32, F>(x, w, w_size, y, blocks);
  else if (type === Q2_K) multiply_row<Q2, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q3_K) multiply_row<Q3, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q4_K) multiply_row<Q4, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q5_K) multiply_row<Q5, Of256, F>(x, w, w_size, y, blocks);
  else if (type === Q6_K) multiply_row<Q6, Of256, F>(x, w, w_size, y, blocks);
  else if (type === TERNARY) multiply_row<Trits, Of256, F>(x, w, w_size, y, blocks);
  else multiply_row<Iq4, Of256, F>(x, w, w_size, y, blocks);
}
