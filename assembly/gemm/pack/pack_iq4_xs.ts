import { TYPE_SIZE_IQ4_XS } from "../../blocks/iq/iq4_xs";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, SCALES, unpack_iq4 } from "./unpack";

export function pack_iq4_xs(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_IQ4_XS, 128, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  const high = <u32>load<u16>(src, 2);
  const low = load<u32>(src, 4);
  for (let k: u32 = 0; k < 8; k++) {
    const scale = <i32>(((low >> (k * 4)) & 15) | (((high >> (k * 2)) & 3) << 4)) - 32;
    store<u32>(dst + k * 4, (scale & 0xffff) * 0x10001, SCALES);
    unpack_iq4(src + 8 + k * 16, dst + k * 32);
  }
  store<f32>(dst, f16_to_f32(load<u16>(src)), D);
}
