import { load_scales, TYPE_SIZE_Q3_K } from "../../blocks/k/q3_k";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, spread_levels, store_scales } from "./unpack";

export function pack_q3_k(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q3_K, 4, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  for (let h: usize = 0; h < 2; h++) {
    spread_levels(src + 32 + h * 32, dst + h * 128, 32, 0, 2);
    spread_levels(src + 48 + h * 32, dst + h * 128 + 16, 32, 0, 2);
  }
  spread_levels(src, dst, 32, 2, 1);
  spread_levels(src + 16, dst + 16, 32, 2, 1);
  store_scales(dst, load_scales(src));
  store<f32>(dst, f16_to_f32(load<u16>(src, 108)), D);
}
