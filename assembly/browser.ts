// What browsers have of the kernels: all but what error feedback alone takes: a page does none, and would have to
// fetch it.

export * from "./attention/attention";
export { cached_attention, cached_attention_scratch } from "./attention/cached_attention";
export { copy_cells, store_keys, store_values } from "./attention/kv_cells";
export { shared_attention } from "./attention/shared_attention";
export * from "./blocks/iq/iq1_m";
export * from "./blocks/iq/iq1_s";
export * from "./blocks/iq/iq2_s";
export * from "./blocks/iq/iq2_xs";
export * from "./blocks/iq/iq2_xxs";
export * from "./blocks/iq/iq3_s";
export * from "./blocks/iq/iq3_xxs";
export * from "./blocks/iq/iq4_nl";
export * from "./blocks/iq/iq4_xs";
export * from "./blocks/k/q2_k";
export * from "./blocks/k/q3_k";
export * from "./blocks/k/q4_k";
export * from "./blocks/k/q5_k";
export * from "./blocks/k/q6_k";
export * from "./blocks/legacy/q4_0";
export * from "./blocks/legacy/q4_1";
export * from "./blocks/legacy/q5_0";
export * from "./blocks/legacy/q5_1";
export * from "./blocks/legacy/q8_0";
export * from "./blocks/legacy/q8_1";
export * from "./blocks/small/mxfp4";
export * from "./blocks/small/nvfp4";
export * from "./blocks/small/q1_0";
export * from "./blocks/small/q2_0";
export * from "./blocks/small/tq1_0";
export * from "./blocks/small/tq2_0";
export * from "./decode";
export * from "./feedback/moments";
export * from "./gemm";
export * from "./gemm/matmul_f32";
export * from "./numbers/checksum";
export * from "./numbers/f16";
export * from "./numbers/f64";
export * from "./ops/activations";
export * from "./ops/delta";
export * from "./ops/divergence";
export * from "./ops/kda";
export * from "./ops/low_rank";
export * from "./ops/nibbles";
export * from "./ops/ops";
export * from "./ops/parametric";
export * from "./ops/rows";
export * from "./ops/scores";
export * from "./ops/short_conv";
export * from "./ops/squares";
export * from "./ops/ssm";
export * from "./ops/ssm2";

/**
 * Where memory is free for the caller. Below lies what the modules that share the memory keep there: these kernels
 * from 0, those of a module of products from where asconfig.json puts them (memoryBase).
 */
export const HEAP_BASE: usize = 1 << 20;
/** Where the kernels' own data ends. */
export const DATA_END: usize = __heap_base;
