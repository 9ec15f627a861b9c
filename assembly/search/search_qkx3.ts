// The search of Q4_1 and Q5_1 with an importance matrix: ggml's make_qkx3_quants, which is make_qkx2_quants, run over
// a row of blocks of 32 as if eight of them were a super-block.

import { ISCALES, LEVELS, nearest_int4, OFFSETS } from "../blocks/k/superblock";
import { load_tiles, weigh_by_sigma } from "../blocks/k/tiles";
import { narrow_i8 } from "../blocks/pack";
import { make_qkx2_quants } from "./search_qkx2";

/** Up to eight blocks and their weights, filled up with zeros. */
const BLOCKS: usize = memory.data(1024, 16);
const WEIGHTS: usize = memory.data(1024, 16);

/**
 * Searches up to eight blocks: `length` bytes of f32 at `x`, with the importance matrix at `w` and the row's mean of
 * squares `sigma2`. SCALES, MINS and LEVELS hold what was found; the levels are 0..nmax.
 */
export function search_eight(x: usize, w: usize, length: usize, sigma2: f32, nmax: i32): void {
  if (length < 1024) {
    x = pad(x, length, BLOCKS);
    w = pad(w, length, WEIGHTS);
  }
  load_tiles(x, 32);
  weigh_by_sigma(w, 32, sigma2);
  make_qkx2_quants(32, nmax, -0.9, 0.05, 36, false);
  const top = i8x16.splat(<i8>nmax);
  for (let q = LEVELS, k: usize = 0; k < 32; k += 4) {
    const iscale = v128.load32_splat(ISCALES + k);
    const offset = v128.load32_splat(OFFSETS + k);
    for (const end = q + 32; q < end; q += 16, x += 64) {
      const level = narrow_i8(
        round(x, iscale, offset),
        round(x + 16, iscale, offset),
        round(x + 32, iscale, offset),
        round(x + 48, iscale, offset),
      );
      v128.store(q, i8x16.min_s(i8x16.max_s(level, i8x16.splat(0)), top));
    }
  }
}

function round(x: usize, iscale: v128, offset: v128): v128 {
  return nearest_int4(f32x4.mul(iscale, f32x4.sub(v128.load(x), offset)));
}

/** Copies `length` of 1024 bytes from `from` to `to` and clears the rest; returns `to`. */
function pad(from: usize, length: usize, to: usize): usize {
  memory.copy(to, from, length);
  memory.fill(to + length, 0, 1024 - length);
  return to;
}
