// The product of packed operands, each form by its tile.
import { BYTES_32, BYTES_256_32, WORDS_32, WORDS_256 } from "./layout";
import { multiply_panels } from "./multiply";
import { tile_bytes_32, tile_bytes_256_16, tile_bytes_256_32 } from "./tiles/tile_bytes";
import { tile_words_32, tile_words_256 } from "./tiles/tile_words";

/** Forms of bytes are for modules with a relaxed dot product only. */
export function matmul_int8(x: usize, w: usize, y: usize, tokens: usize, stride: usize): void {
  const form = load<i32>(w);
  if (form === WORDS_32) multiply_panels(tile_words_32, x, w, y, tokens, stride);
  else if (form === WORDS_256) multiply_panels(tile_words_256, x, w, y, tokens, stride);
  else if (DOT === 0) unreachable();
  else if (form === BYTES_32) multiply_panels(tile_bytes_32, x, w, y, tokens, stride);
  else if (form === BYTES_256_32) multiply_panels(tile_bytes_256_32, x, w, y, tokens, stride);
  else multiply_panels(tile_bytes_256_16, x, w, y, tokens, stride);
}
