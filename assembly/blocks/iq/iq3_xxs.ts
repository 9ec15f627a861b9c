// IQ3_XXS: 256 weights in 98 bytes, in 8 sub-blocks of 32.   0: d f16   2: 64 × u8, entries of IQ3XXS_GRID
//   66: u32 for each sub-block, bits 7 j..7 j + 6 = signs of weights 8 j..8 j + 6, upper four bits = scale
//   weight = d * (scale + 0.5) / 2 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { even_signs, fours, negate } from "./iq";
import { IQ3XXS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ3_XXS: i32 = 256;
export const TYPE_SIZE_IQ3_XXS: i32 = 98;

export function dequantize_row_iq3_xxs(x: usize, y: usize, n: i32): void {
  const levels = i8x16(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0);
  for (const end = y + <usize>n * 4; y < end; x += 98) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 8;
      const bits = load<u32>(x + 66 + k * 4);
      const signs = even_signs(bits);
      const db = f32x4.splat(d * (0.5 + <f32>(bits >> 28)) * 0.5);
      store_scaled(y, negate(fours(IQ3XXS_GRID, q, 0, levels), signs), db);
      store_scaled(y + 64, negate(fours(IQ3XXS_GRID, q + 4, 0, levels), signs >> 16), db);
    }
  }
}
