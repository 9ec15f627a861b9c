// IQ2_XS: 256 weights in 74 bytes, in 16 sub-blocks of 16.
//   0: d f16   2: 32 × u16, lower nine bits = entry of IQ2XS_GRID, upper seven = its signs   66: 8 bytes of scales,
//   four bits each, low nibble first
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set;  the last of eight signs is even_signs'
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { eights, even_signs, iq2_levels, negate } from "./iq";
import { IQ2XS_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_XS: i32 = 256;
export const TYPE_SIZE_IQ2_XS: i32 = 74;

export function dequantize_row_iq2_xs(x: usize, y: usize, n: i32): void {
  const levels = iq2_levels();
  for (const end = y + <usize>n * 4; y < end; x += 74) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const scales = <u32>load<u8>(x + 66 + k);
      restore(y, load<u32>(x + 2 + k * 8), d * (0.5 + <f32>(scales & 15)) * 0.25, levels);
      restore(y + 64, load<u32>(x + 6 + k * 8), d * (0.5 + <f32>(scales >> 4)) * 0.25, levels);
    }
  }
}

/** The sixteen weights of two entries with their signs, at `y`. */
function restore(y: usize, q: u32, db: f32, levels: v128): void {
  const signs = even_signs(((q >> 9) & 0x7f) | ((q >> 25) << 7));
  const level = eights(IQ2XS_GRID, q & 511, (q >> 16) & 511, levels);
  store_scaled(y, negate(level, signs), f32x4.splat(db));
}
