import { TYPE_SIZE_Q4_K } from "../../blocks/k/q4_k";
import { pack } from "./pack";
import { spread_levels, unpack_d_scales_mins } from "./unpack";

export function pack_q4_k(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q4_K, 0, 32, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  unpack_d_scales_mins(src, dst);
  for (let i: usize = 0; i < 128; i += 32) {
    spread_levels(src + 16 + i, dst + 2 * i, 32, 0, 4);
    spread_levels(src + 32 + i, dst + 2 * i + 16, 32, 0, 4);
  }
}
