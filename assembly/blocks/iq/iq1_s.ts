// IQ1_S: 256 weights in 50 bytes, in 8 sub-blocks of 32.   0: d f16   2: 32 × u8, lower eight bits of entries of IQ1S_GRID
//   34: u16 for each sub-block: bits 3 j..3 j + 2 = upper bits of entry j, bits 12..14 = scale, bit 15 = minus
//   weight = d * (2 scale + 1) * (level + 1/8), or - 1/8 where minus is set
// Levels are counted in eighths here: a power of two moves between factors without rounding.
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { eights, iq1_levels } from "./iq";
import { IQ1S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ1_S: i32 = 256;
export const TYPE_SIZE_IQ1_S: i32 = 50;

export function dequantize_row_iq1_s(x: usize, y: usize, n: i32): void {
  const levels = iq1_levels();
  for (const end = y + <usize>n * 4; y < end; x += 50) {
    const d = f16_to_f32(load<u16>(x));
    for (let k: usize = 0; k < 8; k++, y += 128) {
      const q = x + 2 + k * 4;
      const high = <u32>load<u16>(x + 34 + k * 2);
      const dl = f32x4.splat(d * <f32>(((high >> 12) & 7) * 2 + 1) * 0.125);
      const eighth = i8x16.splat(high & 0x8000 ? -1 : 1);
      for (let j: u32 = 0; j < 4; j += 2) {
        const first = <u32>load<u8>(q + j) | (((high >> (j * 3)) & 7) << 8);
        const second = <u32>load<u8>(q + j, 1) | (((high >> (j * 3 + 3)) & 7) << 8);
        store_scaled(y + j * 32, i8x16.add(eights(IQ1S_GRID, first, second, levels), eighth), dl);
      }
    }
  }
}
