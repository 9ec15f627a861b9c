import { ExtData, encode } from "@msgpack/msgpack";

/** An array as Flax packs it: an extension of type 1 with [shape, type, bytes]; anything may lie. */
export function flaxArray(shape: unknown, dtype: unknown, bytes: unknown, type = 1): ExtData {
  return new ExtData(type, encode([shape, dtype, bytes]));
}

/** The same in flat pieces of at most `size` bytes. */
export function flaxChunked(
  shape: readonly number[],
  dtype: string,
  bytes: Uint8Array,
  size: number,
): object {
  const itemSize = bytes.length / shape.reduce((a, b) => a * b, 1);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => {
    const piece = bytes.subarray(i * size, (i + 1) * size);
    return flaxArray([piece.length / itemSize], dtype, piece);
  });
  return { __msgpack_chunked_array__: true, shape: { ...shape }, chunks: { ...pieces } };
}

export function buildFlax(tree: unknown): Uint8Array {
  return encode(tree);
}
