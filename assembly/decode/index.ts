// Products with weights that stay in memory, about as small as they are stored ("lean"), for few tokens: what writes one
// token after the other. They give the bits of ../gemm and of ../matmul_f32, whatever the number of tokens and rows.
//
// To multiply, with a type (layout.ts) and the form that its activations have:
//   pack_lean(type, form, packed, rows, k, w)        from what pack_<type> gives in a form of bytes; lean_size bytes
//   multiply_lean(type, form, x, w, y, tokens, rows, k, stride, scratch)
//                                                    from what quantize_activations gives; lean_scratch bytes
//   expand_lean(type, form, w, rows, k, packed)      to what pack_<type> gives, for products with many tokens
// Products are in the modules of ../products.ts too. Rows are any, in panels of 8, and these in units of 8, which need no other:
// a range of rows may begin at any unit, and ends with one or with the rows there are. In a unit come the blocks of the first
// 1024 columns of all its panels, then those of the next, and last the mins of one panel after the other: the order in which
// they are multiplied.
// Floats are panels [k][8] of what is stored (floats.ts).
//
// A panel is its blocks, in each of which eight rows stand side by side:
//   quants | scales | d of 8 rows, f16 (MXFP4: 8 exponents)                                            in all types
//   | m f16[8]                                       in blocks of 32 with mins
//   | mins, two of each row side by side, [4][8][2]  | dmin f16[8]     in blocks of 256 with mins, of 32 columns each
// Q2_K has mins of 16 columns: those of the second half of a block in the upper halves of the bytes.
// Quants are in planes of 32 bytes. A byte belongs to one of 8 × 4 rows and columns and has bits of several steps of 4
// columns, the first step lowest. Of 32 columns:
//   4 bits   4 planes of 2 steps                     5 bits   the same, then the fifth bits in one plane
//   6 bits   2 × (2 planes of 2 steps | the upper 2 bits of those 4 steps)
//   2 bits   2 planes of 4 steps                     3 bits   the same, then the third bits in one plane
//   8 bits   8 planes, i8
// IQ4_NL, IQ4_XS and MXFP4 have numbers of levels. Scales are i8[8] of every 32 columns, of every 16 in Q3_K and Q6_K, and
// half a byte of every 16 in Q2_K; TQ1_0 and TQ2_0 have none.
export { expand_lean } from "./expand";
export { lean_scratch_f32, multiply_lean_f32 } from "./floats";
export { lean_size } from "./layout";
export { lean_scratch, multiply_lean } from "./multiply";
export { pack_lean } from "./pack";
