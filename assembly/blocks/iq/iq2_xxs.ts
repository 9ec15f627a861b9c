// IQ2_XXS: 256 weights in 66 bytes, in 8 sub-blocks of 32.   0: d f16   2: 8 bytes for each sub-block:
//   0: 4 × u8, entries of IQ2XXS_GRID   4: u32, bits 7 j..7 j + 6 = signs of entry j, upper four bits = scale
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { eights, even_signs, iq2_levels, negate } from "./iq";
import { IQ2XXS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_XXS: i32 = 256;
export const TYPE_SIZE_IQ2_XXS: i32 = 66;

export function dequantize_row_iq2_xxs(x: usize, y: usize, n: i32): void {
  const levels = iq2_levels();
  for (const end = y + <usize>n * 4; y < end; x += 66) {
    const d = f16_to_f32(load<u16>(x));
    for (let q = x + 2; q < x + 66; q += 8, y += 128) {
      const bits = load<u32>(q, 4);
      const signs = even_signs(bits);
      const db = f32x4.splat(d * (0.5 + <f32>(bits >> 28)) * 0.25);
      const low = eights(IQ2XXS_GRID, load<u8>(q), load<u8>(q, 1), levels);
      const high = eights(IQ2XXS_GRID, load<u8>(q, 2), load<u8>(q, 3), levels);
      store_scaled(y, negate(low, signs), db);
      store_scaled(y + 64, negate(high, signs >> 16), db);
    }
  }
}
