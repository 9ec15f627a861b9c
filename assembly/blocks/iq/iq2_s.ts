// IQ2_S: 256 weights in 82 bytes, in 16 sub-blocks of 16.
//   0: d f16   2: 32 × u8, lower eight bits of entries of IQ2S_GRID   34: 32 bytes of signs, lowest bit first
//   66: 8 bytes, upper two bits of entries, lowest first   74: 8 bytes of scales, four bits each, low nibble first
//   weight = d * (scale + 0.5) / 4 * level, negative where the sign is set
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { eights, iq2_levels, negate } from "./iq";
import { IQ2S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ2_S: i32 = 256;
export const TYPE_SIZE_IQ2_S: i32 = 82;

export function dequantize_row_iq2_s(x: usize, y: usize, n: i32): void {
  for (const end = y + <usize>n * 4; y < end; x += 82) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 4;
      const high = <u32>load<u8>(x + 66 + k);
      const scales = <u32>load<u8>(x + 74 + k);
      restore(y, q, high, d * (0.5 + <f32>(scales & 15)) * 0.25);
      restore(y + 64, q + 2, high >> 4, d * (0.5 + <f32>(scales >> 4)) * 0.25);
    }
  }
}

/** The sixteen weights of the two entries at `q`, at `y`; their upper bits are the lower four of `high`. */
function restore(y: usize, q: usize, high: u32, db: f32): void {
  const i = <u32>load<u8>(q) | ((high & 3) << 8);
  const j = <u32>load<u8>(q, 1) | ((high & 12) << 6);
  const level = eights(IQ2S_GRID, i, j, iq2_levels());
  store_scaled(y, negate(level, load<u16>(q, 32)), f32x4.splat(db));
}
