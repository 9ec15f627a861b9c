import type { Kernels } from "../../kernels/kernels.js";
import { rowCount, rowLength, type Tensor } from "../../tensor.js";
import type { Linear } from "../plan/types.js";
import { activationForm, type Form, int8Form, quantizeActivations } from "./int8.js";
import { slabsOf } from "./streamed.js";
import { type Rows, shareOfRows, type Weights } from "./weights.js";

// y[tokens, rows] = x[tokens, k] · W[rows, k]ᵀ, a slab of rows at a time. There are two kinds of products: of weights as
// they are stored with activations in int8 (int8.ts), and of both in f32 (assembly/gemm/matmul_f32.ts).

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
  readonly weights: Weights;
  readonly activations: Activations;
}

/** How a tensor is multiplied: the int8 layout of its weights, or f32. */
function formOf({ kernels, activations, weights }: Multiplier, weight: Tensor): Form | "f32" {
  const type = activations === "int8" ? weights.typeOf(weight) : undefined;
  return (type && int8Form(type, kernels.products)) ?? "f32";
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
  kernels.call("pack_blocks4")(x, k * 4, tokens, k, address);
  return address;
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
  const { kernels, weights } = on;
  const { tokens } = input;
  const form = formOf(on, weight);
  const x = input.packed.get(inputForm(form))!;
  const stride = roundUp(rows, 8) * 4;
  const y = kernels.reserve(roundUp(tokens, 4) * stride);
  const mark = kernels.mark();
  weights.multiply(kernels, weight, form, x, [first, rows], y, tokens, stride);
  kernels.reset(mark);
  if (bias !== undefined) {
    kernels.call("add_bias")(y, stride, weights.vector(kernels, bias) + first * 4, tokens, rows);
    kernels.reset(mark);
  }
  return { y, stride, first, rows };
}

/**
 * Multiplies with this thread's rows of a matrix; the product is copied or added to those columns of `y`
 * [tokens][rows].
 */
export function multiply(
  on: Multiplier,
  linear: Linear,
  input: Input,
  y: number,
  into: "copy_columns" | "add_columns",
): void {
  const { kernels, weights } = on;
  const mark = kernels.mark();
  const rowSize = rowCount(linear.weight) * 4;
  for (const [first, rows] of weights.slabs(linear.weight, input.tokens)) {
    const slab = multiplySlab(on, linear, input, first, rows);
    kernels.call(into)(slab.y, slab.stride, y + first * 4, rowSize, input.tokens, rows);
    kernels.reset(mark);
  }
}

/** Makes products [tokens][rows] whole, of which each thread has computed its rows. */
export function exchange(
  { kernels, weights }: Multiplier,
  tokens: number,
  ...products: readonly (readonly [linear: Linear, y: number])[]
): void {
  const parts = products.map(([{ weight }, y]) => {
    const width = rowCount(weight);
    const [first, count] = shareOfRows(weights, width);
    return { y, width, first, count };
  });
  weights.exchange(kernels, tokens, parts);
}

/** This thread's rows of a matrix. */
export function ownRows(weights: Weights, weight: Tensor): Rows {
  return shareOfRows(weights, rowCount(weight));
}

/** Bytes of kernel memory that a product with `weight` takes beside its input and its output, at most. */
export function slabMemory(weight: Tensor, tokens: number): number {
  const rows = slabsOf(weight)[0]![1];
  return roundUp(tokens, 4) * rows * 4 + 3 * rows * rowLength(weight) * 4;
}

function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}
