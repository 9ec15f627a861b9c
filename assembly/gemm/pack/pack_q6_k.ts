import { TYPE_SIZE_Q6_K } from "../../blocks/k/q6_k";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, spread_levels, store_scales } from "./unpack";

export function pack_q6_k(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q6_K, 32, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  for (let h: usize = 0; h < 2; h++) {
    const q = dst + h * 128;
    for (let l: usize = 0; l < 64; l += 16) spread_levels(src + h * 64 + l, q + l, 64, 0, 4);
    for (let l: usize = 0; l < 32; l += 16) spread_levels(src + 128 + h * 32 + l, q + l, 32, 4, 2);
  }
  store_scales(dst, v128.load(src, 192));
  store<f32>(dst, f16_to_f32(load<u16>(src, 208)), D);
}
