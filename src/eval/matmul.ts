import type { Kernels } from "../run/kernels.js";
import { type Descriptors, readRowsF32 } from "../run/rows.js";
import { rowCount, rowLength, type Tensor } from "../tensor.js";
import type { Linear } from "./decoder.js";

// y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ. Weights come from the file a slab of rows at a time and are used
// for all tokens at hand: the whole matrix is never in memory. How both sides are laid out for the product is
// known here and in assembly/matmul_f32.ts only.

/** Activations [tokens, k], packed for products. */
export interface Input {
  readonly address: number;
  readonly tokens: number;
}

/** A product with some rows of W: [tokens][rows] at `y`, rows of `stride` bytes. */
export interface Slab {
  readonly y: number;
  readonly stride: number;
  readonly first: number;
  readonly rows: number;
}

/** Packs x[tokens, k]. The memory is the caller's to give back. */
export function packInput(kernels: Kernels, x: number, tokens: number, k: number): Input {
  const address = kernels.reserve(roundUp(tokens, 4) * k * 4);
  kernels.call("pack_panels4")(x, k * 4, tokens, k, address);
  return { address, tokens };
}

/** Weights in a slab, about: as f32 they fit a core's own cache. */
const SLAB_WEIGHTS = 1 << 18;
const MIN_SLAB_ROWS = 64;
export const MAX_SLAB_ROWS = 256;

/** The rows of a matrix, cut into slabs: [first, rows] of each. */
export function slabsOf(weight: Tensor): [first: number, rows: number][] {
  const total = rowCount(weight);
  const fitting = roundUp(SLAB_WEIGHTS / rowLength(weight), 8);
  const step = Math.min(MAX_SLAB_ROWS, Math.max(MIN_SLAB_ROWS, fitting));
  return Array.from({ length: Math.ceil(total / step) }, (_, i) => [
    i * step,
    Math.min(step, total - i * step),
  ]);
}

/** Multiplies with rows `first` to `first + rows` of a matrix. The memory is the caller's to give back. */
export function multiplySlab(
  kernels: Kernels,
  files: Descriptors,
  { weight, bias }: Linear,
  input: Input,
  first: number,
  rows: number,
): Slab {
  const k = rowLength(weight);
  const { address, tokens } = input;
  const stride = roundUp(rows, 8) * 4;
  const y = kernels.reserve(roundUp(tokens, 4) * stride);
  const mark = kernels.mark();
  const packed = kernels.reserve(roundUp(rows, 8) * k * 4);
  const weights = kernels.reserve(rows * k * 4);
  readRowsF32(kernels, files, weight, first, rows, weights);
  kernels.call("pack_panels8")(weights, k * 4, rows, k, packed);
  kernels.call("matmul_f32")(address, packed, y, tokens, rows, k);
  if (bias !== undefined) {
    kernels.reset(mark);
    const values = readVector(kernels, files, bias);
    kernels.call("add_bias")(y, stride, values + first * 4, tokens, rows);
  }
  kernels.reset(mark);
  return { y, stride, first, rows };
}

/** Multiplies with the whole matrix, into `y` [tokens][rows]. */
export function multiply(
  kernels: Kernels,
  files: Descriptors,
  linear: Linear,
  input: Input,
  y: number,
  accumulate: "copy_columns" | "add_columns",
): void {
  const mark = kernels.mark();
  const rowBytes = rowCount(linear.weight) * 4;
  for (const [first, rows] of slabsOf(linear.weight)) {
    const slab = multiplySlab(kernels, files, linear, input, first, rows);
    kernels.call(accumulate)(slab.y, slab.stride, y + first * 4, rowBytes, input.tokens, rows);
    kernels.reset(mark);
  }
}

/** Bytes of kernel memory that a product with `weight` takes beside its input and its output. */
export function slabMemory(weight: Tensor, tokens: number): number {
  const rows = slabsOf(weight)[0]![1];
  return roundUp(tokens, 4) * rows * 4 + 3 * rows * rowLength(weight) * 4;
}

/** A vector of the model as f32. The memory is the caller's to give back. */
export function readVector(kernels: Kernels, files: Descriptors, tensor: Tensor): number {
  const address = kernels.reserve(rowLength(tensor) * 4);
  readRowsF32(kernels, files, tensor, 0, 1, address);
  return address;
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}
