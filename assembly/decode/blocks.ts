// Blocks of a panel of lean weights times one token or four, for every type.
import { IQ4_NL, MXFP4, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, TERNARY } from "./layout";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "./quants";
import { Bytes, multiply_row, Of32, Of256, takes_words, Words } from "./row";
import { multiply_tile } from "./tile";
import { One } from "./token";

/** Adds `blocks` blocks of `w_size` bytes, times the tokens at `x`, to eight floats at `y`, or four times eight. */
export function multiply_blocks<N, F>(
  type: i32,
  x: usize,
  w: usize,
  w_size: usize,
  y: usize,
  blocks: usize,
): void {
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
