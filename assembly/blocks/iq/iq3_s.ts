// IQ3_S: 256 weights in 110 bytes, in 8 sub-blocks of 32.
//   0: d f16   2: 64 × u8, lower eight bits of entries of IQ3S_GRID   66: 8 bytes, ninth bits of entries, lowest first
//   74: 32 bytes of signs, lowest bit first   106: 4 bytes of scales, four bits each, low nibble first
//   weight = d * (2 scale + 1) * level, negative where the sign is set
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { fours, negate } from "./iq";
import { IQ3S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ3_S: i32 = 256;
export const TYPE_SIZE_IQ3_S: i32 = 110;

export function dequantize_row_iq3_s(x: usize, y: usize, n: i32): void {
  const levels = i8x16(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 110) {
    const d = f16_to_f32(load<u16>(x));
    const scales = load<u32>(x, 106);
    for (let k: u32 = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 8;
      const high = <u32>load<u8>(x + 66 + k);
      const signs = load<u32>(x + 74 + k * 4);
      const db = f32x4.splat(d * <f32>(((scales >> (k * 4)) & 15) * 2 + 1));
      store_scaled(y, negate(fours(IQ3S_GRID, q, high, levels), signs), db);
      store_scaled(y + 64, negate(fours(IQ3S_GRID, q + 4, high >> 4, levels), signs >> 16), db);
    }
  }
}
