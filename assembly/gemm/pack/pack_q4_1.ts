import { TYPE_SIZE_Q4_1 } from "../../blocks/legacy/q4_1";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, DMIN, spread_levels } from "./unpack";

export function pack_q4_1(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q4_1, 0, 32, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  spread_levels(src + 4, dst, 16, 0, 4);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
  store<f32>(dst, f16_to_f32(load<u16>(src, 2)), DMIN);
}
