// Every form's tile, for one panel or two.
import { bits } from "../bits";
import { BYTES_32, BYTES_256_16, ROWS, WORDS_32, WORDS_256 } from "../layout";
import { Beginning, Nothing } from "./dot";
import { tile_bytes_32, tile_bytes_256_16, tile_bytes_256_32 } from "./tile_bytes";
import { By16, By32, tile_wide_32, tile_wide_256 } from "./tile_wide";
import { tile_words_32, tile_words_256 } from "./tile_words";

/** Whether two panels are multiplied at once: where registers are wide, and for the forms that gain by it. */
export function is_wide(form: i32): bool {
  if (bits !== 256 || DOT === 0) return false;
  return (
    form === BYTES_32 || form === BYTES_256_16 || (DOT === 32 && form !== WORDS_32 && form !== WORDS_256)
  );
}

/**
 * Adds `blocks` blocks of `panels` panels of weights (one or two, `w_size` bytes apart) times the panel of activations `x`
 * to 4 tokens × 8 or 16 rows of f32 at `y`, whose tokens are `stride` bytes apart. `zero` times zero_unit is the quant that
 * counts as 0; where it is 0, sums of i16 begin with a unit all the same and are given it back. At `sums` there are 256 bytes to work in.
 */
export function add_tile(
  form: i32,
  panels: usize,
  x: usize,
  w: usize,
  w_size: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  zero: i32,
  sums: usize,
): void {
  if (panels === 2 && is_wide(form)) {
    if (DOT === 0) unreachable();
    else if (form === BYTES_32) {
      if (DOT === 16 && zero === 0) tile_wide_32<Beginning>(x, w, w_size, y, stride, blocks, zero);
      else tile_wide_32<Nothing>(x, w, w_size, y, stride, blocks, zero);
    } else if (form === BYTES_256_16) tile_wide_256<By16>(x, w, w_size, y, stride, blocks, zero, sums);
    else if (DOT === 32) tile_wide_256<By32>(x, w, w_size, y, stride, blocks, zero, sums);
    return;
  }
  for (; panels > 0; panels--, w += w_size, y += ROWS * 4) {
    if (form === WORDS_32) tile_words_32(x, w, y, stride, blocks);
    else if (form === WORDS_256) tile_words_256(x, w, y, stride, blocks);
    else if (DOT === 0) unreachable();
    else if (form === BYTES_32) {
      if (DOT === 16 && zero === 0) tile_bytes_32<Beginning>(x, w, y, stride, blocks, zero);
      else tile_bytes_32<Nothing>(x, w, y, stride, blocks, zero);
    } else if (form === BYTES_256_16) tile_bytes_256_16(x, w, y, stride, blocks, zero);
    else tile_bytes_256_32(x, w, y, stride, blocks);
  }
}
