import { TYPE_SIZE_Q8_0 } from "../../blocks/legacy/q8_0";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D } from "./unpack";

export function pack_q8_0(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_Q8_0, 128, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  const shift = i8x16.splat(-128);
  v128.store(dst, i8x16.add(v128.load(src, 2), shift));
  v128.store(dst, i8x16.add(v128.load(src, 18), shift), 16);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
}
