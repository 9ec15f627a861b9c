// Q6_K, a super-block of sixteen sub-blocks at a time. The block is described in blocks/k.
import * as q6_k from "../blocks/k/q6_k";
import { make_qx_sixteen } from "./search_qx";
import { load_one, load_weights_of_one, weigh_by_square } from "./tiles";

export function quantize_row_q6_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 210) {
    load_one(x);
    weigh_by_square();
    make_qx_sixteen(32);
    q6_k.store_block(x, y);
  }
}

export function quantize_row_q6_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 210, w += 1024) {
    load_one(x);
    load_weights_of_one(w);
    make_qx_sixteen(32);
    q6_k.store_block(x, y);
  }
}
