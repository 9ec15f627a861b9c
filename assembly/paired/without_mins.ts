// Q6_K, and Q3_K with an importance matrix, a super-block of sixteen sub-blocks at a time. The blocks are described in
// blocks/k.
import * as q3_k from "../blocks/k/q3_k";
import * as q6_k from "../blocks/k/q6_k";
import { sum_squares } from "../search/search";
import { make_qx_sixteen } from "./search_qx";
import { load_one, load_weights_of_one, sum_weights, weigh_by_sigma, weigh_by_square } from "./tiles";

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

export function quantize_row_q3_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 110, w += 1024) {
    load_one(x);
    load_weights_of_one(w);
    const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
    weigh_by_sigma(16, sigma2, sigma2);
    sum_weights();
    make_qx_sixteen(4);
    q3_k.store_searched_weighted(x, y);
  }
}
