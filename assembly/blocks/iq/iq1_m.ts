// IQ1_M: 256 weights in 56 bytes, in 16 sub-blocks of 16.   0: 32 × u8, lower eight bits of entries of IQ1S_GRID
//   32: a nibble for each entry, low nibble first: its upper three bits, and above them minus
//   48: 4 × u16: lower twelve bits = four scales of three bits, lowest first; the upper fours, lowest first, are d f16
//   weight = d * (2 scale + 1) * (level + 1/8), or - 1/8 where minus is set
// Levels are counted in eighths here: a power of two moves between factors without rounding.
import { f16_to_f32 } from "../../numbers/f16";
import { store_scaled } from "../pack";
import { eights, iq1_levels } from "./iq";
import { IQ1S_GRID } from "./iq_grids";

export const BLOCK_SIZE_IQ1_M: i32 = 256;
export const TYPE_SIZE_IQ1_M: i32 = 56;

export function dequantize_row_iq1_m(x: usize, y: usize, n: i32): void {
  const levels = iq1_levels();
  for (const end = y + <usize>n * 4; y < end; x += 56) {
    const d = f16_to_f32(unit(load<u64>(x, 48)));
    for (let k: usize = 0; k < 16; k++, y += 64) {
      const scale = (<u32>load<u16>(x + 48 + (k >> 2) * 2) >> (<u32>(k & 3) * 3)) & 7;
      const dl = f32x4.splat(d * <f32>(scale * 2 + 1) * 0.125);
      const high = <u32>load<u8>(x + 32 + k);
      const first = <u32>load<u8>(x + k * 2) | ((high & 7) << 8);
      const second = <u32>load<u8>(x + k * 2, 1) | ((high & 0x70) << 4);
      const minus = i64x2(-(<i64>((high >> 3) & 1)), -(<i64>(high >> 7)));
      const eighths = v128.or(minus, i8x16.splat(1));
      store_scaled(y, i8x16.add(eights(IQ1S_GRID, first, second, levels), eighths), dl);
    }
  }
}

/** The bits of d. */
function unit(scales: u64): u32 {
  const low = ((scales >> 12) & 0x000f) | ((scales >> 24) & 0x00f0);
  return <u32>(low | ((scales >> 36) & 0x0f00) | ((scales >> 48) & 0xf000));
}
