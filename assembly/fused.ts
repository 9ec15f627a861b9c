// The product of floats with fused multiply-adds (gemm/madd.ts), as a module of its own beside whichever has the others: it is used
// only where it is asked for (src/net/products/fused.ts).

export { bits } from "./gemm/bits";
export { matmul_f32 } from "./gemm/matmul_f32";

/** Where the module's own data ends. */
export const DATA_END: usize = __heap_base;
