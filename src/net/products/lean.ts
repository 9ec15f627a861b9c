import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { type Form, int8Form, int8Layout, packWeights } from "./int8.js";

// Weights that stay in memory: about as small as they are stored, and laid out so that a product with one token reads
// them straight on (assembly/decode). All products give the bits of those in int8.ts.

/** Types, by the numbers of assembly/decode/layout.ts. */
const NUMBERS: Partial<Record<DTypeName, number>> = {
  Q4_0: 0,
  Q4_1: 1,
  Q5_0: 2,
  Q5_1: 3,
  Q8_0: 4,
  IQ4_NL: 5,
  MXFP4: 6,
  Q2_K: 7,
  Q3_K: 8,
  Q4_K: 9,
  Q5_K: 10,
  Q6_K: 11,
  IQ4_XS: 12,
  TQ1_0: 13,
  TQ2_0: 13,
};

/** Rows that lie together: ranges of rows begin at a multiple. */
export const LEAN_ROWS = 8;

export function isLean(type: DTypeName): boolean {
  return type in NUMBERS;
}

/** Bytes of `rows` rows of `k` weights; those of some rows more begin as many bytes further. */
export function leanSize(kernels: Kernels, type: DTypeName, rows: number, k: number): number {
  return kernels.call("lean_size")(NUMBERS[type]!, rows, k);
}

/** Lays `rows` stored rows of `k` weights at `src` out at `dst`. */
export function packLean(
  kernels: Kernels,
  type: DTypeName,
  src: number,
  rows: number,
  k: number,
  dst: number,
): void {
  const form = int8Layout(type);
  const rowSize = byteLength(type, [k]);
  const mark = kernels.mark();
  for (let row = 0; row < rows; row += LEAN_ROWS) {
    const count = Math.min(LEAN_ROWS, rows - row);
    const packed = packWeights(kernels, type, form, src + row * rowSize, count, k);
    kernels.call("pack_lean")(NUMBERS[type]!, form, packed, count, k, dst + leanSize(kernels, type, row, k));
    kernels.reset(mark);
  }
}

/**
 * y[tokens, rows] = x · Wᵀ for the rows at `w`; `x` is what quantizeActivations gives for the type's form. Rows of y are
 * `stride` bytes apart.
 */
export function multiplyLean(
  kernels: Kernels,
  type: DTypeName,
  x: number,
  w: number,
  y: number,
  tokens: number,
  rows: number,
  k: number,
  stride: number,
): void {
  const form = int8Form(type, kernels.products)!;
  const mark = kernels.mark();
  const scratch = kernels.reserve(kernels.call("lean_scratch")(NUMBERS[type]!, form, tokens, k));
  kernels.call("multiply_lean")(NUMBERS[type]!, form, x, w, y, tokens, rows, k, stride, scratch);
  kernels.reset(mark);
}

/** `rows` rows at `w` to what packWeights makes of them, at `dst`. */
export function expandLean(
  kernels: Kernels,
  type: DTypeName,
  form: Form,
  w: number,
  rows: number,
  k: number,
  dst: number,
): void {
  kernels.call("expand_lean")(NUMBERS[type]!, form, w, rows, k, dst);
}
