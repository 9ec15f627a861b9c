import { TYPE_SIZE_Q2_K } from "../../blocks/k/q2_k";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, DMIN, spread_levels, store_mins, store_scales } from "./unpack";

export function pack_q2_k(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q2_K, 0, 16, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  for (let h: usize = 0; h < 2; h++) {
    spread_levels(src + 16 + h * 32, dst + h * 128, 32, 0, 2);
    spread_levels(src + 32 + h * 32, dst + h * 128 + 16, 32, 0, 2);
  }
  const bytes = v128.load(src);
  store_scales(dst, v128.and(bytes, i8x16.splat(15)));
  store_mins(dst, i8x16.shr_u(bytes, 4));
  store<f32>(dst, f16_to_f32(load<u16>(src, 80)), D);
  store<f32>(dst, -f16_to_f32(load<u16>(src, 82)), DMIN);
}
