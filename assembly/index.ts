// The one list of what the kernels module exports. Rows are f32 in memory, 16-byte aligned where the caller can;
// x is input, y is output, n counts weights.
export * from "./activations";
export * from "./attention";
export * from "./decode";
export * from "./divergence";
export * from "./f16";
export * from "./f64";
export * from "./gemm";
export * from "./iq1_m";
export * from "./iq1_s";
export * from "./iq2_s";
export * from "./iq2_xs";
export * from "./iq2_xxs";
export * from "./iq3_s";
export * from "./iq3_xxs";
export * from "./iq4_nl";
export * from "./iq4_xs";
export * from "./low_rank";
export * from "./matmul_f32";
export * from "./mxfp4";
export * from "./nvfp4";
export * from "./ops";
export * from "./q1_0";
export * from "./q2_0";
export * from "./q2_k";
export * from "./q3_k";
export * from "./q4_0";
export * from "./q4_1";
export * from "./q4_k";
export * from "./q5_0";
export * from "./q5_1";
export * from "./q5_k";
export * from "./q6_k";
export * from "./q8_0";
export * from "./q8_1";
export * from "./rows";
export * from "./scores";
export * from "./squares";
export * from "./ssm";
export * from "./tq1_0";
export * from "./tq2_0";

/**
 * Where memory is free for the caller. Below lies what the modules that share the memory keep there: these kernels
 * from 0, those of a module of products from where asconfig.json puts them (memoryBase).
 */
export const HEAP_BASE: usize = 1 << 20;
/** Where the kernels' own data ends. */
export const DATA_END: usize = __heap_base;
