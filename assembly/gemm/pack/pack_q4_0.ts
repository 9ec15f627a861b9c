import { TYPE_SIZE_Q4_0 } from "../../blocks/legacy/q4_0";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, spread_levels } from "./unpack";

export function pack_q4_0(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q4_0, 8, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  spread_levels(src + 2, dst, 16, 0, 4);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
}
