// What takes nearly all the time of an evaluation or a calibration, as modules of their own, each for one dot product (gemm/dot.ts). The
// kernels have the same functions in plain SIMD of 128 bits, which an engine can always be trusted with.
//
// V8 can make one register of 256 bits of two vectors (src/kernels/products.ts), but only where it finds them loaded,
// worked on and stored side by side. So sums stay in locals until a tile is done. And of two neighbours the lower must
// be loaded and stored first: of the other order V8 makes a wrong address.

export * from "./attention/attention";
export { add_panels } from "./feedback/moments";
export { bits } from "./gemm/bits";
export { matmul_f32 } from "./gemm/matmul_f32";
export { matmul_int8 } from "./gemm/multiply";

/** Where the module's own data ends. */
export const DATA_END: usize = __heap_base;
