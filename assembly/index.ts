// The one list of what the kernels module exports. Rows are f32 in memory, 16-byte aligned where the caller can;
// x is input, y is output, n counts weights.

export * from "./browser";
export { descend_codebook, sweep_codebook } from "./feedback/codebook";
export * from "./feedback/codes";
export * from "./feedback/descent";
export { cholesky_tile, solve_panel } from "./feedback/factor";
export * from "./feedback/grids";
export { gather_lanes, scatter_bytes, scatter_lanes } from "./feedback/lanes";
export { sweep_affine, sweep_iq4 } from "./feedback/sweep";
