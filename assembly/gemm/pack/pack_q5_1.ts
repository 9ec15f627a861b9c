import { TYPE_SIZE_Q5_1 } from "../../blocks/legacy/q5_1";
import { load_high_u5, load_low_u5 } from "../../blocks/pack";
import { f16_to_f32 } from "../../numbers/f16";
import { NO_ZERO, pack } from "./pack";
import { D, DMIN } from "./unpack";

export function pack_q5_1(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q5_1, NO_ZERO, 32, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  v128.store(dst, load_low_u5(src + 4));
  v128.store(dst, load_high_u5(src + 4), 16);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
  store<f32>(dst, f16_to_f32(load<u16>(src, 2)), DMIN);
}
