// How the two operands of a product lie in memory: in panels, 4 tokens or 8 rows side by side, and these in blocks.
// index.ts draws what is in a block of each form.

/** Tokens in a panel of activations. */
export const TOKENS: usize = 4;
/** Rows in a panel of weights. */
export const ROWS: usize = 8;
/** Bytes before the first panel of weights; they hold what store_header writes. */
export const HEADER_SIZE: usize = 64;

/** Blocks of 32 or of 256 with quants as i16, for i32x4.dot_i16x8_s. */
export const WORDS_32: i32 = 0;
export const WORDS_256: i32 = 1;
/** Blocks with quants as bytes, for the relaxed products: of 32; of 256 with a scale per 32, or per 16. */
export const BYTES_32: i32 = 2;
export const BYTES_256_32: i32 = 3;
export const BYTES_256_16: i32 = 4;

/** Columns in a block. */
export function block_length(form: i32): usize {
  return form === WORDS_32 || form === BYTES_32 ? 32 : 256;
}

/** Bytes of a quant. */
export function quant_size(form: i32): usize {
  return form === WORDS_32 || form === WORDS_256 ? 2 : 1;
}

/**
 * What the quant that stands for 0 is a multiple of, once packed: a token's sums are kept times minus this. It is the
 * largest power of 2 with which they fit 16 bits: 16 * 127 * 16 in blocks of 32, 8 * 127 * 32 of every 16 columns.
 * 0 where there are no such sums.
 */
export function zero_unit(form: i32): i32 {
  if (form === BYTES_32) return 16;
  return form === BYTES_256_16 ? 32 : 0;
}

/** Bytes of a block of weights. */
export function weights_block_size(form: i32): usize {
  if (form === WORDS_32) return 512 + 32;
  if (form === WORDS_256) return 4096 + 32;
  if (form === BYTES_32) return 256 + 32;
  if (form === BYTES_256_32) return 8 * (256 + 32) + 32;
  return 16 * (128 + 32) + 32;
}

/** Bytes of the mins of a block of weights, one to every `min_length` columns; none if that is 0. */
export function mins_size(form: i32, min_length: usize): usize {
  if (min_length === 0) return 0;
  return block_length(form) === 32 ? 32 : (256 / min_length) * 16 + 32;
}

/** Bytes of a block of activations. */
export function activations_block_size(form: i32): usize {
  if (form === WORDS_32) return 256 + 16;
  if (form === WORDS_256) return 2048 + 16;
  if (form === BYTES_32) return 128 + 16 + 16;
  return 1024 + 256 + 16;
}

/** Bytes of the sums of a block of activations that mins of every `min_length` columns are multiplied with. */
export function sums_size(form: i32, min_length: usize): usize {
  return block_length(form) === 32 ? 16 : (256 / min_length) * 8 + 16;
}

/** Where they begin in a panel of `blocks` blocks: those of every 32 columns come before those of every 16. */
export function sums_at(form: i32, min_length: usize, blocks: usize): usize {
  return blocks * (activations_block_size(form) + (min_length === 16 ? sums_size(form, 32) : 0));
}

/** Bytes of `rows` packed rows of `k` weights. */
export function weights_size(form: i32, rows: usize, k: usize, min_length: usize): usize {
  return HEADER_SIZE + ((rows + ROWS - 1) / ROWS) * weights_panel_size(form, k, min_length);
}

export function weights_panel_size(form: i32, k: usize, min_length: usize): usize {
  return (k / block_length(form)) * (weights_block_size(form) + mins_size(form, min_length));
}

/** Bytes of `tokens` quantized rows of `k` activations. */
export function activations_size(form: i32, tokens: usize, k: usize): usize {
  return ((tokens + TOKENS - 1) / TOKENS) * activations_panel_size(form, k);
}

export function activations_panel_size(form: i32, k: usize): usize {
  let block_size = activations_block_size(form) + sums_size(form, 32);
  if (block_length(form) === 256) block_size += sums_size(form, 16);
  return (k / block_length(form)) * block_size;
}
