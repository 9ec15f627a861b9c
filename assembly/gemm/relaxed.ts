// The relaxed modules: what index.ts's matmul_int8 does, for weights packed as bytes. Compiled twice, for the two dot
// products of dot.ts.
import { BYTES_32, BYTES_256_32 } from "./layout";
import { multiply_panels } from "./multiply";
import { tile_bytes_32, tile_bytes_256_16, tile_bytes_256_32 } from "./tile_bytes";

export function matmul_int8(x: usize, w: usize, y: usize, tokens: usize, stride: usize): void {
  const form = load<i32>(w);
  if (form === BYTES_32) multiply_panels(tile_bytes_32, x, w, y, tokens, stride);
  else if (form === BYTES_256_32) multiply_panels(tile_bytes_256_32, x, w, y, tokens, stride);
  else multiply_panels(tile_bytes_256_16, x, w, y, tokens, stride);
}

/** Where the module's own data ends. */
export const DATA_END: usize = __heap_base;
