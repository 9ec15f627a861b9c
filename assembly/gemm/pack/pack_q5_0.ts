import { TYPE_SIZE_Q5_0 } from "../../blocks/legacy/q5_0";
import { load_high_u5, load_low_u5 } from "../../blocks/pack";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D } from "./unpack";

export function pack_q5_0(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q5_0, 16, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  v128.store(dst, load_low_u5(src + 2));
  v128.store(dst, load_high_u5(src + 2), 16);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
}
