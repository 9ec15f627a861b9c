// What takes nearly all the time of generating, as modules of their own: products and attention as in products.ts, and what
// makes a few tokens cost little more than the reading of weights and caches.
export { cached_attention } from "./attention/cached_attention";
export { shared_attention } from "./attention/shared_attention";
export { expand_lean } from "./decode/expand";
export { lean_scratch_f32, multiply_lean_f32 } from "./decode/floats";
export { lean_scratch, multiply_lean } from "./decode/multiply";
export * from "./products";
