import type { DTypeName } from "../../../formats/dtype.js";
import { dtype } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { Products } from "../../kernels/products.js";

// Products of weights as they are stored with activations in int8, the arithmetic of ggml's CPU backend: which
// layout a type gets, and the calls. The layouts themselves are in assembly/gemm.

/** Layouts, by the numbers of assembly/gemm/layout.ts. */
const WORDS_32 = 0;
const WORDS_256 = 1;
const BYTES_32 = 2;
const BYTES_256_32 = 3;
const BYTES_256_16 = 4;
export type Form = 0 | 1 | 2 | 3 | 4;

interface Int8Type {
  readonly name: DTypeName;
  /** Columns that share a min; 0 for types without. */
  readonly minLength: 0 | 16 | 32;
  /** Layout for the relaxed i16 product; none where a sum could exceed 16 bits. */
  readonly i16?: Form;
  /** Where that is so only with what sums begin with given back at their end, which modules for generation do not. */
  readonly givenBack?: boolean;
  /** Layout for the relaxed i32 product. */
  readonly i32: Form;
  /** Has quants above 127, where the relaxed products are exact on some machines only. */
  readonly wide?: boolean;
}

// biome-ignore format: columns
export const INT8_TYPES: readonly Int8Type[] = [
  { name: "Q4_0",   minLength: 0,  i16: BYTES_32,     i32: BYTES_32 },
  { name: "Q4_1",   minLength: 32, i16: BYTES_32,     i32: BYTES_32 },
  { name: "Q5_0",   minLength: 0,  i16: BYTES_32,     i32: BYTES_32 },
  { name: "Q5_1",   minLength: 32, i16: BYTES_32,     i32: BYTES_32,     givenBack: true },
  { name: "Q8_0",   minLength: 0,                     i32: BYTES_32,     wide: true },
  { name: "IQ4_NL", minLength: 0,                     i32: BYTES_32,     wide: true },
  { name: "MXFP4",  minLength: 0,  i16: BYTES_32,     i32: BYTES_32 },
  { name: "Q2_K",   minLength: 16, i16: BYTES_256_16, i32: BYTES_256_16 },
  { name: "Q3_K",   minLength: 0,  i16: BYTES_256_16, i32: BYTES_256_16 },
  { name: "Q4_K",   minLength: 32, i16: BYTES_256_32, i32: BYTES_256_32 },
  { name: "Q5_K",   minLength: 32, i16: BYTES_256_16, i32: BYTES_256_32 },
  { name: "Q6_K",   minLength: 0,  i16: BYTES_256_16, i32: BYTES_256_16 },
  { name: "IQ4_XS", minLength: 0,                     i32: BYTES_256_16, wide: true },
  { name: "TQ1_0",  minLength: 0,  i16: BYTES_256_16, i32: BYTES_256_16 },
  { name: "TQ2_0",  minLength: 0,  i16: BYTES_256_16, i32: BYTES_256_16 },
];

const byName = new Map(INT8_TYPES.map((row) => [row.name, row]));

/** The layout for weights of a type; undefined for types that have no int8 product. */
export function int8Form(type: DTypeName, products: Products | undefined): Form | undefined {
  const row = byName.get(type);
  if (row === undefined) return undefined;
  const words = dtype(type).blockSize === 32 ? WORDS_32 : WORDS_256;
  if (products === undefined || products.dot === "plain" || (row.wide && !products.wide)) return words;
  if (row.givenBack && products.dot === "i16" && products.purpose === "generation") return words;
  return row[products.dot] ?? words;
}

/** The layout of a type's quants as bytes, whatever the module. */
export function int8Layout(type: DTypeName): Form {
  return byName.get(type)!.i32;
}

/** The layout of the activations for such weights: that of another may be the same. */
export function activationForm(form: Form): Form {
  return form === BYTES_256_16 ? BYTES_256_32 : form;
}

/** Quantizes x[tokens, k]. The memory is the caller's to give back. */
export function quantizeActivations(
  kernels: Kernels,
  form: Form,
  x: number,
  tokens: number,
  k: number,
): number {
  const address = kernels.reserve(kernels.call("activations_size")(form, tokens, k));
  kernels.call("quantize_activations")(form, x, tokens, k, address);
  return address;
}

/** Bytes of `rows` rows of `k` weights in a layout. */
export function packedSize(kernels: Kernels, type: DTypeName, form: Form, rows: number, k: number): number {
  return kernels.call("weights_size")(form, rows, k, byName.get(type)!.minLength);
}

/** Lays `rows` stored rows of `k` weights at `src` out. The memory is the caller's to give back. */
export function packWeights(
  kernels: Kernels,
  type: DTypeName,
  form: Form,
  src: number,
  rows: number,
  k: number,
): number {
  const address = kernels.reserve(packedSize(kernels, type, form, rows, k));
  kernels.call(`pack_${dtype(type).kernel}`)(form, src, rows, k, address);
  return address;
}

/** y[tokens, rows] = x · Wᵀ for operands in the same layout; rows of y are `stride` bytes apart. */
export function multiplyInt8(
  kernels: Kernels,
  x: number,
  w: number,
  y: number,
  tokens: number,
  stride: number,
): void {
  kernels.call("matmul_int8")(x, w, y, tokens, stride);
}
