import { byteLength, type DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { type Form, int8Form, int8Layout, packWeights } from "./int8.js";

// Weights that stay in memory: about as small as they are stored, and laid out so that a product with one token reads
// them straight on (assembly/decode). Quantized ones meet activations in int8 and give the bits of the products in
// int8.ts; floats meet floats and give those of matmul_f32.

/** Quantized types, by the numbers of assembly/decode/layout.ts. */
const QUANTIZED: Partial<Record<DTypeName, number>> = {
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

/** Floats, by the numbers of assembly/decode/floats.ts. */
const FLOATS: Partial<Record<DTypeName, number>> = { F32: 0, F16: 1, BF16: 2 };

/** Rows that lie together: a range of rows begins at a multiple, and ends at one or with the matrix. */
export const LEAN_ROWS = 64;
/** Rows of a panel. */
const PANEL_ROWS = 8;

/** Whether weights of a type can stay in memory as they are. */
export function isLean(type: DTypeName): boolean {
  return type in QUANTIZED || type in FLOATS;
}

/** Bytes of `rows` rows of `k` weights. Row r, a multiple of LEAN_ROWS, begins leanSize of r rows after the first. */
export function leanSize(kernels: Kernels, type: DTypeName, rows: number, k: number): number {
  if (type in FLOATS) return byteLength(type, [roundUp(rows), k]);
  return kernels.call("lean_size")(QUANTIZED[type]!, rows, k);
}

/** Lays `rows` stored rows of `k` weights at `src` out at `dst`. Scratch memory above the current mark is given back. */
export function packLean(
  kernels: Kernels,
  type: DTypeName,
  src: number,
  rows: number,
  k: number,
  dst: number,
): void {
  const rowSize = byteLength(type, [k]);
  const mark = kernels.mark();
  for (let row = 0; row < rows; row += LEAN_ROWS) {
    const count = Math.min(LEAN_ROWS, rows - row);
    const to = dst + leanSize(kernels, type, row, k);
    if (type in FLOATS) packFloats(kernels, type, src + row * rowSize, count, k, to);
    else {
      const packed = packWeights(kernels, type, int8Layout(type), src + row * rowSize, count, k);
      kernels.call("pack_lean")(QUANTIZED[type]!, int8Layout(type), packed, count, k, to);
    }
    kernels.reset(mark);
  }
}

function packFloats(
  kernels: Kernels,
  type: DTypeName,
  src: number,
  rows: number,
  k: number,
  dst: number,
): void {
  const floats = kernels.reserve(rows * k * 4);
  const panel = kernels.reserve(roundUp(rows) * k * 4);
  kernels.toF32(type, src, floats, rows * k);
  kernels.call("pack_panels8")(floats, k * 4, rows, k, panel);
  kernels.fromF32(type, panel, dst, roundUp(rows) * k);
}

/**
 * y[tokens, rows] = x · Wᵀ for `rows` rows at `w`. `x` is what quantizeActivations gives for the type's form, or
 * pack_blocks4 for floats. Tokens of y are `stride` bytes apart; no more than `rows` floats of each are written.
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
  form = int8Form(type, kernels.products),
): void {
  const mark = kernels.mark();
  if (type in FLOATS) {
    const scratch = kernels.reserve(kernels.call("lean_scratch_f32")(tokens, k));
    kernels.call("multiply_lean_f32")(FLOATS[type]!, x, w, y, tokens, rows, k, stride, scratch);
  } else {
    const scratch = kernels.reserve(kernels.call("lean_scratch")(QUANTIZED[type]!, form!, tokens, k));
    kernels.call("multiply_lean")(QUANTIZED[type]!, form!, x, w, y, tokens, rows, k, stride, scratch);
  }
  kernels.reset(mark);
}

/** `rows` rows at `w` to what packWeights makes of them in `form`, at `dst`; of floats, to what pack_panels8 does. */
export function expandLean(
  kernels: Kernels,
  type: DTypeName,
  form: Form | "f32",
  w: number,
  rows: number,
  k: number,
  dst: number,
): void {
  if (form === "f32") kernels.toF32(type, w, dst, roundUp(rows) * k);
  else kernels.call("expand_lean")(QUANTIZED[type]!, form, w, rows, k, dst);
}

function roundUp(rows: number): number {
  return Math.ceil(rows / PANEL_ROWS) * PANEL_ROWS;
}
