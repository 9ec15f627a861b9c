import { scale_of } from "../../blocks/pack";
import { TYPE_SIZE_MXFP4 } from "../../blocks/small/mxfp4";
import { pack } from "./pack";
import { D } from "./unpack";

export function pack_mxfp4(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_MXFP4, 12, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  const levels = i8x16(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
  const q = v128.load(src, 1);
  v128.store(dst, i8x16.swizzle(levels, v128.and(q, i8x16.splat(15))));
  v128.store(dst, i8x16.swizzle(levels, i8x16.shr_u(q, 4)), 16);
  store<f32>(dst, scale_of(load<u8>(src)), D);
}
