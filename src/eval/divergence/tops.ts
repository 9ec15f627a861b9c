import type { Kernels } from "../../kernels/kernels.js";
import type { Slab } from "../../net/products/matmul.js";

/** Bytes of a token's likeliest so far: its logit f32, its number i32 (assembly/ops/divergence.ts). */
export const TOP_SIZE = 8;

/** The likeliest token after each of some tokens, from logits that come slab by slab. */
export interface Tops {
  add(slab: Pick<Slab, "y" | "stride" | "first" | "rows">): void;
  read(): Int32Array;
}

export function startTops(kernels: Kernels, tokens: number): Tops {
  const tops = kernels.reserve(tokens * TOP_SIZE);
  kernels.floats(tops, tokens * 2).fill(Number.NEGATIVE_INFINITY);
  return {
    add({ y, stride, first, rows }) {
      kernels.call("add_tops")(tops, y, stride, tokens, first, rows);
    },
    read() {
      const pairs = new Int32Array(kernels.memory.buffer, tops, tokens * 2);
      return Int32Array.from({ length: tokens }, (_, i) => pairs[2 * i + 1]!);
    },
  };
}

/** 1 where both are the same. */
export function sameTops(a: Int32Array, b: Int32Array): Uint8Array {
  return Uint8Array.from(a, (id, i) => (id === b[i] ? 1 : 0));
}
