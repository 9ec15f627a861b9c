import { TYPE_SIZE_TQ2_0 } from "../../blocks/small/tq2_0";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, spread_levels, store_scales } from "./unpack";

export function pack_tq2_0(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_TQ2_0, 1, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  for (let h: usize = 0; h < 2; h++) {
    spread_levels(src + h * 32, dst + h * 128, 32, 0, 2);
    spread_levels(src + h * 32 + 16, dst + h * 128 + 16, 32, 0, 2);
  }
  store_scales(dst, i8x16.splat(1));
  store<f32>(dst, f16_to_f32(load<u16>(src, 64)), D);
}
