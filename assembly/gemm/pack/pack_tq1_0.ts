import { digits4, first_digits, TYPE_SIZE_TQ1_0, triple } from "../../blocks/small/tq1_0";
import { f16_to_f32 } from "../../numbers/f16";
import { pack } from "./pack";
import { D, store_scales } from "./unpack";

export function pack_tq1_0(form: i32, src: usize, rows: usize, k: usize, dst: usize): void {
  pack(unpack, TYPE_SIZE_TQ1_0, 1, 0, form, src, rows, k, dst);
}

function unpack(src: usize, dst: usize): void {
  store_digits5(v128.load(src), dst, 32);
  store_digits5(v128.load(src, 16), dst + 16, 32);
  store_digits5(v128.load(src, 32), dst + 160, 16);
  v128.store(dst, trits(digits4(v128.load32_splat(src, 48))), 240);
  store_scales(dst, i8x16.splat(1));
  store<f32>(dst, f16_to_f32(load<u16>(src, 52)), D);
}

function store_digits5(t: v128, q: usize, stride: usize): void {
  for (let i = 0; i < 5; i++, q += stride, t = triple(t)) v128.store(q, trits(t));
}

function trits(t: v128): v128 {
  return i8x16.add(first_digits(t), i8x16.splat(1));
}
