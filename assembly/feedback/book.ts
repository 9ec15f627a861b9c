// The codebook that error feedback has at hand (codebook.ts).
import { iq2_levels } from "../blocks/iq/iq";
import { IQ2S_GRID, IQ2XS_GRID, IQ2XXS_GRID, IQ3S_GRID, IQ3XXS_GRID } from "../blocks/iq/iq_grids";

/** Levels of all entries, f32 [entries][size]. */
export const LEVELS: usize = memory.data(32768, 16);
const BYTES: usize = memory.data(16, 16);
let at_hand: i32 = -1;
export let entries: usize = 0;
export let size: usize = 0;
/** Whether each eight columns want an even number of minuses. */
export let is_even: bool = false;

/** Makes a codebook the one at hand: IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S. */
export function open(kind: i32): void {
  if (kind === at_hand) return;
  at_hand = kind;
  is_even = kind !== 2 && kind !== 4;
  const threes = i8x16(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0);
  if (kind === 0) expand(IQ2XXS_GRID, 256, 8, iq2_levels());
  else if (kind === 1) expand(IQ2XS_GRID, 512, 8, iq2_levels());
  else if (kind === 2) expand(IQ2S_GRID, 1024, 8, iq2_levels());
  else if (kind === 3) expand(IQ3XXS_GRID, 256, 4, threes);
  else expand(IQ3S_GRID, 512, 4, i8x16(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0));
}

function expand(grid: usize, count: usize, each: usize, levels: v128): void {
  entries = count;
  size = each;
  const bits = 16 / <u32>each;
  v128.store(BYTES, levels);
  for (let entry: usize = 0, to = LEVELS; entry < count; entry++) {
    let code = <u32>load<u16>(grid + entry * 2);
    for (let i: usize = 0; i < each; i++, to += 4, code >>= bits) {
      store<f32>(to, <f32>load<i8>(BYTES + <usize>(code & ((1 << bits) - 1))));
    }
  }
}
