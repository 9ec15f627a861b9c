import { TYPE_SIZE_IQ4_NL } from "../../blocks/iq/iq4_nl";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, unpack_iq4 } from "./unpack";

export function pack_iq4_nl(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_IQ4_NL, 128, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  unpack_iq4(src + 2, dst);
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
}
