// What takes nearly all the time of an evaluation, as modules of their own: the kernels have the same functions in
// plain SIMD of 128 bits, which an engine can always be trusted with; these are compiled for one dot product each, and
// by the engine in other ways too (src/eval/products.ts).
export * from "./attention";
export { matmul_int8 } from "./gemm/matmul_int8";
export { matmul_f32 } from "./matmul_f32";

/** Where the module's own data ends. */
export const DATA_END: usize = __heap_base;
