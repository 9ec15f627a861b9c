import { TYPE_SIZE_Q5_K } from "../../blocks/k/q5_k";
import { pack } from "./pack";
import { spread_levels, unpack_d_scales_mins } from "./unpack";

export function pack_q5_k(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q5_K, 0, 32, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  unpack_d_scales_mins(src, dst);
  for (let i: usize = 0; i < 128; i += 32) {
    spread_levels(src + 48 + i, dst + 2 * i, 32, 0, 4);
    spread_levels(src + 64 + i, dst + 2 * i + 16, 32, 0, 4);
  }
  spread_levels(src + 16, dst, 32, 4, 1);
  spread_levels(src + 32, dst + 16, 32, 4, 1);
}
