// The loops around the tiles: every panel of weights with every panel of activations.

import {
  activations_panel_size,
  block_length,
  HEADER_SIZE,
  ROWS,
  sums_at,
  TOKENS,
  weights_block_size,
  weights_panel_size,
} from "./layout";
import { add_tiles } from "./matmul_f32";
import { add_tile, is_wide } from "./tiles";
import { tile_words } from "./tiles/tile_words";

/** Bytes of activations worked on together: they stay in a core's own cache while the weights pass by. */
const CACHED: usize = 1 << 19;

/** For tiles of which y has a part only: 4 tokens × 16 rows of f32; and sums of a tile. */
const tile_of_y = memory.data(256, 64);
const tile_of_sums = memory.data(256, 64);

/** What multiply_panels needs to know of the panels after it: see pack for the words; `zero` is in zero_unit. */
export function store_header(
  address: usize,
  form: i32,
  rows: usize,
  k: usize,
  zero: i32,
  min_length: usize,
): void {
  store<i32>(address, form);
  store<usize>(address, rows, 4);
  store<usize>(address, k, 8);
  store<i32>(address, zero, 12);
  store<usize>(address, min_length, 16);
}

/** y[tokens, rows] = x · Wᵀ: see index.ts. */
export function matmul_int8(x: usize, w: usize, y: usize, tokens: usize, stride: usize): void {
  const form = load<i32>(w);
  const rows = load<usize>(w, 4);
  const k = load<usize>(w, 8);
  const zero = load<i32>(w, 12);
  const min_length = load<usize>(w, 16);
  const blocks = k / block_length(form);
  const mins = blocks * weights_block_size(form);
  const sums = sums_at(form, min_length, blocks);
  const w_size = weights_panel_size(form, k, min_length);
  const x_size = activations_panel_size(form, k);
  const group = max(CACHED / x_size, 1) * TOKENS;
  const most: usize = is_wide(form) ? 2 : 1;
  for (let first: usize = 0; first < tokens; first += group) {
    const last = min(first + group, tokens);
    for (let row: usize = 0; row < rows; ) {
      const w_panel = w + HEADER_SIZE + (row / ROWS) * w_size;
      const panels = min(most, (rows - row + ROWS - 1) / ROWS);
      const width = panels * ROWS;
      for (let token = first; token < last; token += TOKENS) {
        const x_panel = x + (token / TOKENS) * x_size;
        const to = y + token * stride + row * 4;
        const isWhole = token + TOKENS <= tokens && row + width <= rows;
        const t = isWhole ? to : tile_of_y;
        const t_stride = isWhole ? stride : 2 * ROWS * 4;
        clear_tile(t, t_stride, width);
        const sums_at = isWhole ? tile_of_y : tile_of_sums; // see ../products.ts: no address known beforehand
        add_tile(form, panels, x_panel, w_panel, w_size, t, t_stride, blocks, zero, sums_at);
        if (min_length !== 0) {
          for (let p: usize = 0; p < panels; p++) {
            const w_mins = w_panel + p * w_size + mins;
            const to_rows = t + p * ROWS * 4;
            add_mins(x_panel + sums, w_mins, to_rows, t_stride, blocks, block_length(form), min_length);
          }
        }
        if (!isWhole) copy_part(to, stride, min(tokens - token, TOKENS), min(rows - row, width));
      }
      row += width;
    }
  }
}

/** The mins times the sums of the activations: products with few columns, and so done by the tiles of others. */
export function add_mins(
  x: usize,
  w: usize,
  y: usize,
  stride: usize,
  blocks: usize,
  length: usize,
  min_length: usize,
): void {
  if (length === 32) add_tiles(x, 0, w, y, stride, <i32>blocks, 4);
  else tile_words(x, w, y, stride, blocks, length / min_length);
}

function clear_tile(y: usize, stride: usize, rows: usize): void {
  for (let t: usize = 0; t < TOKENS; t++, y += stride) {
    for (let p = y; p < y + rows * 4; p += 16) v128.store(p, f32x4.splat(0));
  }
}

/** As much of tile_of_y as exists, to `y`. */
function copy_part(y: usize, stride: usize, tokens: usize, rows: usize): void {
  for (let t: usize = 0; t < tokens; t++, y += stride) memory.copy(y, tile_of_y + t * 2 * ROWS * 4, rows * 4);
}
