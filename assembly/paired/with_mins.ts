// Q4_K and Q5_K, two super-blocks at a time, and Q2_K, which has as many sub-blocks in one. The blocks are described in
// blocks/k.
import * as q2_k from "../blocks/k/q2_k";
import * as q4_k from "../blocks/k/q4_k";
import * as q5_k from "../blocks/k/q5_k";
import { ISCALES, MINS, OFFSETS, SCALES, SUMS } from "../blocks/k/superblock";
import { sum_squares } from "../search/search";
import { make_qkx2_sixteen } from "./search_qkx2";
import {
  load_one,
  load_two,
  load_weights_of_one,
  load_weights_of_two,
  weigh_by_absolute,
  weigh_by_magnitude,
  weigh_by_sigma,
} from "./tiles";

export function quantize_row_q4_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 2048, y += 288) {
    const other = second(x, end);
    load_two(x, other);
    weigh_by_magnitude(32);
    make_qkx2_sixteen(32, 15, -1, 0.1, 20, false);
    q4_k.store_searched(x, y);
    if (other === x) return;
    turn_to_second();
    q4_k.store_searched(other, y + 144);
  }
}

export function quantize_row_q4_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 2048, y += 288, w += 2048) {
    const other = second(x, end);
    load_two(x, other);
    weigh_two(x, other, w);
    make_qkx2_sixteen(32, 15, -0.9, 0.05, 36, false);
    q4_k.store_searched_weighted(x, y);
    if (other === x) return;
    turn_to_second();
    q4_k.store_searched_weighted(other, y + 144);
  }
}

export function quantize_row_q5_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 2048, y += 352) {
    const other = second(x, end);
    load_two(x, other);
    weigh_by_magnitude(32);
    make_qkx2_sixteen(32, 31, -0.5, 0.1, 15, false);
    q5_k.store_searched(x, y);
    if (other === x) return;
    turn_to_second();
    q5_k.store_searched(other, y + 176);
  }
}

export function quantize_row_q5_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 2048, y += 352, w += 2048) {
    const other = second(x, end);
    load_two(x, other);
    weigh_two(x, other, w);
    make_qkx2_sixteen(32, 31, -0.9, 0.05, 36, false);
    q5_k.store_searched_weighted(x, y);
    if (other === x) return;
    turn_to_second();
    q5_k.store_searched_weighted(other, y + 176);
  }
}

export function quantize_row_q2_k(x: usize, y: usize, n: i32): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 84) {
    load_one(x);
    weigh_by_absolute();
    make_qkx2_sixteen(16, 3, -0.5, 0.1, 15, true);
    q2_k.store_searched(x, y);
  }
}

export function quantize_row_q2_k_weighted(x: usize, y: usize, n: i32, w: usize): void {
  for (const end = x + <usize>n * 4; x < end; x += 1024, y += 84, w += 1024) {
    load_one(x);
    load_weights_of_one(w);
    const sigma2 = sum_squares(x, 256) / 256;
    weigh_by_sigma(16, sigma2, sigma2);
    make_qkx2_sixteen(16, 3, -0.9, 0.05, 36, false);
    q2_k.store_searched_weighted(x, y);
  }
}

/** The super-block to search together with that at `x`; a last one is searched twice. */
function second(x: usize, end: usize): usize {
  return x + 1024 < end ? x + 1024 : x;
}

/** weigh_by_importance for two super-blocks. */
function weigh_two(x: usize, other: usize, w: usize): void {
  load_weights_of_two(w, w + (other - x));
  const sigma2: f32 = (2 * sum_squares(x, 256)) / 256;
  const other_sigma2: f32 = (2 * sum_squares(other, 256)) / 256;
  weigh_by_sigma(32, sigma2, other_sigma2);
}

/** Puts what the search found for the second super-block where that for the first was. */
function turn_to_second(): void {
  for (let k: usize = 0; k < 32; k += 16) {
    v128.store(SCALES + k, v128.load(SCALES + k, 32));
    v128.store(MINS + k, v128.load(MINS + k, 32));
    v128.store(SUMS + k, v128.load(SUMS + k, 32));
    v128.store(ISCALES + k, v128.load(ISCALES + k, 32));
    v128.store(OFFSETS + k, v128.load(OFFSETS + k, 32));
  }
}
