import type { Kernels } from "../../kernels/kernels.js";

// What modules are tried with, in place.

/** Where the values are now. */
export function place(kernels: Kernels, values: Float32Array): number {
  const address = kernels.reserve(values.byteLength);
  kernels.floats(address, values.length).set(values);
  return address;
}

/** Between -1 and 1, the same for each seed everywhere. */
export function noise(n: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
