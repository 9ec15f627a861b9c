// Blocks of a panel of lean weights times eight tokens, for every type.
import { quant_size } from "../../gemm/layout";
import {
  IQ4_NL,
  MXFP4,
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
  TERNARY,
} from "../layout";
import { Iq4, Mxfp4, Q2, Q3, Q4, Q5, Q6, Q8, Trits } from "../quants";
import { Of32, Of256 } from "../row";
import { multiply_eight } from "./tile";
import { multiply_eight_words } from "./tile_words";

/** What multiply_eight does; of words there is Q8_0 only. */
export function multiply_eight_blocks(
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
