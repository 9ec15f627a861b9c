// Matrix products of weights as they are stored with activations in int8: y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ.
// Sums of integers are exact, and the few float operations per block have one order (tile.ts): every module gives the
// same bits.
//
// To multiply, with a form (layout.ts) that suits both the block type and the module:
//   quantize_activations(form, x, tokens, k, packed_x)   f32 to int8 as ggml does; activations_size bytes
//   pack_<type>(form, rows_of_w, rows, k, packed_w)      rows as stored; weights_size bytes
//   matmul_int8(packed_x, packed_w, y, tokens, stride)   f32, each token's rows `stride` bytes after the last's
// Quantize and pack are in the kernels module. matmul_int8 is there for the WORDS forms, and for those and the BYTES
// forms in the modules of products (../products.ts), which share the memory. k is a whole number of blocks; tokens and
// rows are any.
//
// Packed weights are a header and panels of 8 rows, packed activations panels of 4 tokens. In a panel the same 32 bits
// of every row stand side by side: a step of 8 rows × 2 columns as i16, or × 4 columns as bytes. Blocks of weights:
//   WORDS_32       16 steps | d f32[8]
//   WORDS_256      128 steps, quants multiplied by their scales | d f32[8]
//   BYTES_32       8 steps | d f32[8]
//   BYTES_256_32   8 × (8 steps | scales, twice i16, [8]) | d f32[8]
//   BYTES_256_16   16 × (4 steps | scales, twice i16, [8]) | d f32[8]
// After a panel's blocks come, for types that have them, its mins: for each block of 32 m f32[8], for each block of 256
// steps of mins as i16 | -dmin f32[8]. Blocks of activations:
//   WORDS_32, WORDS_256   16 or 128 steps | d f32[4]
//   BYTES_32              8 steps | sums, two i16, [4] | d f32[4]
//   BYTES_256_32, _16     64 steps | of every 16 columns sums, two i16, [4] | d f32[4]
// where the two sums are of columns 0 and 1 of each step, and of columns 2 and 3, times minus zero_unit. After a panel's
// blocks come the sums that mins are multiplied with: for each block of 32 s f32[4]; for blocks of 256 first those of
// every 32 columns, for all blocks, then those of every 16: steps of sums as i16 | d f32[4].
export { quantize_activations } from "./activations";
export { activations_size, weights_size } from "./layout";
export { matmul_int8 } from "./multiply";
export * from "./pack/pack_iq4_nl";
export * from "./pack/pack_iq4_xs";
export * from "./pack/pack_mxfp4";
export * from "./pack/pack_q2_k";
export * from "./pack/pack_q3_k";
export * from "./pack/pack_q4_0";
export * from "./pack/pack_q4_1";
export * from "./pack/pack_q4_k";
export * from "./pack/pack_q5_0";
export * from "./pack/pack_q5_1";
export * from "./pack/pack_q5_k";
export * from "./pack/pack_q6_k";
export * from "./pack/pack_q8_0";
export * from "./pack/pack_tq1_0";
export * from "./pack/pack_tq2_0";
