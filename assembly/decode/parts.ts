// Lean weights times more tokens than tile.ts is for. A part of two panels is laid out for ../gemm, and all tokens pass it
// while it is in the nearest cache; memory can bring the next one meanwhile.
import {
  activations_block_size,
  activations_panel_size,
  block_length,
  mins_size,
  ROWS,
  sums_at,
  TOKENS,
  weights_block_size,
} from "../gemm/layout";
import { add_mins } from "../gemm/multiply";
import { add_tile } from "../gemm/tiles";
import { expand_mins, expand_quants, units_of } from "./expand";
import { lean_block_size, lean_length, lean_size, min_length, mins_at, part_blocks, UNIT } from "./layout";

/** Columns that are laid out together: a part of a panel has a whole number of them. */
const STEP: usize = 256;
/** Panels that are multiplied together, and bytes of their floats for a token. */
const PANELS: usize = 2;
const STRIDE: usize = PANELS * ROWS * 4;
/** Bytes that a tile has to work in. */
const SUMS_SIZE: usize = 256;

/** Bytes that multiply_parts needs to work in. */
export function parts_scratch(type: i32, form: i32, tokens: usize, k: usize): usize {
  const part = (STEP / block_length(form)) * weights_block_size(form);
  const mins = (k / block_length(form)) * mins_size(form, min_length(type));
  return floats_size(tokens) + SUMS_SIZE + PANELS * part + mins;
}

function floats_size(tokens: usize): usize {
  return ((tokens + TOKENS - 1) / TOKENS) * TOKENS * STRIDE;
}

/** What matmul_int8 gives for `rows` rows of whole panels at `w`; see multiply_lean. */
export function multiply_parts(
  type: i32,
  form: i32,
  x: usize,
  w: usize,
  y: usize,
  tokens: usize,
  rows: usize,
  k: usize,
  stride: usize,
  scratch: usize,
): void {
  const blocks = k / lean_length(type);
  const panel_size = lean_size(type, ROWS, k);
  const all = (rows + ROWS - 1) / ROWS;
  for (let panel: usize = 0; panel < all; panel += PANELS, y += STRIDE) {
    const count = min(rows - panel * ROWS, PANELS * ROWS);
    const panels = (count + ROWS - 1) / ROWS;
    const first = panel - (panel % UNIT);
    const unit = w + first * panel_size;
    multiply_panels(
      type,
      form,
      x,
      unit,
      panel - first,
      min(all - first, UNIT),
      scratch,
      tokens,
      panels,
      blocks,
    );
    for (let t: usize = 0; t < tokens; t++) memory.copy(y + t * stride, scratch + t * STRIDE, count * 4);
  }
}

/** Floats of up to two panels, from `first` of the unit's `all` on, [tokens][16], to `y`, which has the scratch memory behind it. */
function multiply_panels(
  type: i32,
  form: i32,
  x: usize,
  unit: usize,
  first: usize,
  all: usize,
  y: usize,
  tokens: usize,
  panels: usize,
  blocks: usize,
): void {
  const length = lean_length(type);
  const step = STEP / length;
  const x_size = activations_panel_size(form, blocks * length);
  const w_size = lean_block_size(type);
  const part_length = part_blocks(type);
  const part_size = step * weights_block_size(form);
  const zero = units_of(type, form);
  const sums = y + floats_size(tokens);
  const part = sums + SUMS_SIZE;
  memory.fill(y, 0, floats_size(tokens));
  for (let block: usize = 0; block < blocks; block += step) {
    const count = min(step, blocks - block);
    const before = block - (block % part_length);
    const length_here = min(part_length, blocks - before);
    for (let p: usize = 0; p < panels; p++) {
      const from = unit + (before * all + (first + p) * length_here + block - before) * w_size;
      expand_quants(type, form, from, part + p * part_size, count);
    }
    let x_part = x + block * activations_block_size(form);
    let to = y;
    for (let t: usize = 0; t < tokens; t += TOKENS, x_part += x_size, to += TOKENS * STRIDE)
      add_tile(form, panels, x_part, part, part_size, to, STRIDE, count, zero, sums);
  }
  if (min_length(type) === 0) return;
  const mins = part + PANELS * part_size;
  x += sums_at(form, min_length(type), blocks);
  for (let p: usize = 0; p < panels; p++) {
    expand_mins(type, unit + mins_at(type, first + p, all, blocks), mins, blocks);
    for (let t: usize = 0; t < tokens; t += TOKENS) {
      const to = y + t * STRIDE + p * ROWS * 4;
      add_mins(x + (t / TOKENS) * x_size, mins, to, STRIDE, blocks, length, min_length(type));
    }
  }
}
