import type { Kernels } from "../../kernels/kernels.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes } from "../../rows/rows.js";
import { keepsStoredValues, rowCount, rowLength, type Tensor } from "../../tensor.js";
import type { Linear } from "../plan/types.js";
import {
  activationForm,
  type Form,
  int8Form,
  multiplyInt8,
  packWeights,
  quantizeActivations,
} from "./int8.js";

// y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ. Weights come from the file a slab of rows at a time and are used
// for all tokens at hand: the whole matrix is never in memory. There are two kinds of products: of weights as they
// are stored with activations in int8 (int8.ts), and of both in f32 (assembly/matmul_f32.ts).

/**
 * How activations meet quantized weights: rounded to int8 as ggml's CPU backend rounds them, or in f32, so that the
 * loss is that of the weights alone. Weights stored as floats meet them in f32 either way.
 */
export type Activations = "int8" | "f32";

/** As llama.cpp's CPU computes, so that numbers compare with its tools'. */
export const DEFAULT_ACTIVATIONS: Activations = "int8";

/** Where products are done. */
export interface Multiplier {
  readonly kernels: Kernels;
  readonly files: Descriptors;
  readonly activations: Activations;
}

/** How a tensor is multiplied: the int8 layout of its weights, or f32. */
function formOf({ kernels, activations }: Multiplier, weight: Tensor): Form | "f32" {
  const asStored = activations === "int8" && keepsStoredValues(weight);
  return (asStored ? int8Form(weight.dtype, kernels.products) : undefined) ?? "f32";
}

function inputForm(form: Form | "f32"): Form | "f32" {
  return form === "f32" ? form : activationForm(form);
}

/** Activations [tokens, k], packed in each form that the weights they are for ask for. */
export interface Input {
  readonly tokens: number;
  readonly packed: ReadonlyMap<Form | "f32", number>;
}

/** Packs x[tokens, k] for products with `weights`. The memory is the caller's to give back. */
export function packInput(on: Multiplier, x: number, tokens: number, weights: readonly Linear[]): Input {
  const { kernels } = on;
  const k = rowLength(weights[0]!.weight);
  const packed = new Map<Form | "f32", number>();
  for (const { weight } of weights) {
    const form = inputForm(formOf(on, weight));
    if (packed.has(form)) continue;
    const address =
      form === "f32" ? packFloats(kernels, x, tokens, k) : quantizeActivations(kernels, form, x, tokens, k);
    packed.set(form, address);
  }
  return { tokens, packed };
}

function packFloats(kernels: Kernels, x: number, tokens: number, k: number): number {
  const address = kernels.reserve(roundUp(tokens, 4) * k * 4);
  kernels.call("pack_panels4")(x, k * 4, tokens, k, address);
  return address;
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

/** A product with some rows of W: [tokens][rows] at `y`, each token's `stride` bytes, a multiple of 32. */
export interface Slab {
  readonly y: number;
  readonly stride: number;
  readonly first: number;
  readonly rows: number;
}

/** Multiplies with rows `first` to `first + rows` of a matrix. The memory is the caller's to give back. */
export function multiplySlab(
  on: Multiplier,
  { weight, bias }: Linear,
  input: Input,
  first: number,
  rows: number,
): Slab {
  const { kernels } = on;
  const { tokens } = input;
  const form = formOf(on, weight);
  const x = input.packed.get(inputForm(form))!;
  const k = rowLength(weight);
  const stride = roundUp(rows, 8) * 4;
  const y = kernels.reserve(roundUp(tokens, 4) * stride);
  const mark = kernels.mark();
  if (form === "f32") {
    const w = readFloats(on, weight, first, rows);
    // Never relaxed: fused multiply-adds would make the result depend on the engine.
    kernels.call("matmul_f32")(x, w, y, tokens, rows, k);
  } else {
    const w = readPacked(on, weight, form, first, rows);
    multiplyInt8(kernels, x, w, y, tokens, stride);
  }
  kernels.reset(mark);
  if (bias !== undefined) {
    const values = readVector(on, bias);
    kernels.call("add_bias")(y, stride, values + first * 4, tokens, rows);
    kernels.reset(mark);
  }
  return { y, stride, first, rows };
}

/** Rows of a matrix as panels of f32. */
function readFloats({ kernels, files }: Multiplier, weight: Tensor, first: number, rows: number): number {
  const k = rowLength(weight);
  const packed = kernels.reserve(roundUp(rows, 8) * k * 4);
  const mark = kernels.mark();
  const floats = kernels.reserve(rows * k * 4);
  readRowsF32(kernels, files, weight, first, rows, floats);
  kernels.call("pack_panels8")(floats, k * 4, rows, k, packed);
  kernels.reset(mark);
  return packed;
}

/** Rows of a matrix in an int8 layout. */
function readPacked(
  { kernels, files }: Multiplier,
  weight: Tensor,
  form: Form,
  first: number,
  rows: number,
): number {
  const stored = kernels.reserve(rows * rowBytes(weight, weight.dtype));
  readStoredRows(kernels, files, weight, first, rows, stored);
  return packWeights(kernels, weight.dtype, form, stored, rows, rowLength(weight));
}

/** Multiplies with the whole matrix; the product is copied or added to `y` [tokens][rows]. */
export function multiply(
  on: Multiplier,
  linear: Linear,
  input: Input,
  y: number,
  into: "copy_columns" | "add_columns",
): void {
  const { kernels } = on;
  const mark = kernels.mark();
  const rowSize = rowCount(linear.weight) * 4;
  for (const [first, rows] of slabsOf(linear.weight)) {
    const slab = multiplySlab(on, linear, input, first, rows);
    kernels.call(into)(slab.y, slab.stride, y + first * 4, rowSize, input.tokens, rows);
    kernels.reset(mark);
  }
}

/** Bytes of kernel memory that a product with `weight` takes beside its input and its output, at most. */
export function slabMemory(weight: Tensor, tokens: number): number {
  const rows = slabsOf(weight)[0]![1];
  return roundUp(tokens, 4) * rows * 4 + 3 * rows * rowLength(weight) * 4;
}

/** A vector of the model as f32. The memory is the caller's to give back. */
export function readVector({ kernels, files }: Multiplier, tensor: Tensor): number {
  const address = kernels.reserve(rowLength(tensor) * 4);
  readRowsF32(kernels, files, tensor, 0, 1, address);
  return address;
}

/** A small matrix of the model as f32, columns first. The memory is the caller's to give back. */
export function readTransposed({ kernels, files }: Multiplier, tensor: Tensor): number {
  const [rows, columns] = [rowCount(tensor), rowLength(tensor)];
  const transposed = kernels.reserve(rows * columns * 4);
  const mark = kernels.mark();
  const address = kernels.reserve(rows * columns * 4);
  readRowsF32(kernels, files, tensor, 0, rows, address);
  const [from, to] = [kernels.floats(address, rows * columns), kernels.floats(transposed, rows * columns)];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      to[column * rows + row] = from[row * columns + column]!;
    }
  }
  kernels.reset(mark);
  return transposed;
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}
