import { t } from "../src/language/t.js";
import { LlqError } from "./errors.js";

/** One stored type of weights. Everything else about a type is derived from its row in DTYPES. */
export interface DType {
  /** As in ggml, upper case. */
  readonly name: string;
  /** ggml_type, the id in a GGUF file; absent for types that only other containers have. */
  readonly ggml?: number;
  /** Weights in a block. */
  readonly blockSize: number;
  /** Bytes in a block. */
  readonly typeSize: number;
  /** Suffix of the kernels: `q4_0` for quantize_row_q4_0 and dequantize_row_q4_0. */
  readonly kernel: string;
  /** What the kernels can do: read; also write; also write with an importance matrix. */
  readonly kernels: "read" | "write" | "weighted";
  /** The type written instead when a row is not a whole number of blocks; types that are only read have none. */
  readonly fallback?: string;
}

// One row per type; formats/ knows the layout's size, assembly/<kernel>.ts knows the layout.
// biome-ignore format: columns
export const DTYPES = [
  { name: "F32",     ggml: 0,  blockSize: 1,   typeSize: 4,   kernel: "f32",     kernels: "write" },
  { name: "F16",     ggml: 1,  blockSize: 1,   typeSize: 2,   kernel: "f16",     kernels: "write" },
  { name: "BF16",    ggml: 30, blockSize: 1,   typeSize: 2,   kernel: "bf16",    kernels: "write" },
  { name: "F64",     ggml: 28, blockSize: 1,   typeSize: 8,   kernel: "f64",     kernels: "read" },
  { name: "Q4_0",    ggml: 2,  blockSize: 32,  typeSize: 18,  kernel: "q4_0",    kernels: "weighted", fallback: "F16" },
  { name: "Q4_1",    ggml: 3,  blockSize: 32,  typeSize: 20,  kernel: "q4_1",    kernels: "weighted", fallback: "F16" },
  { name: "Q5_0",    ggml: 6,  blockSize: 32,  typeSize: 22,  kernel: "q5_0",    kernels: "weighted", fallback: "F16" },
  { name: "Q5_1",    ggml: 7,  blockSize: 32,  typeSize: 24,  kernel: "q5_1",    kernels: "weighted", fallback: "F16" },
  { name: "Q8_0",    ggml: 8,  blockSize: 32,  typeSize: 34,  kernel: "q8_0",    kernels: "write",    fallback: "F16" },
  { name: "IQ4_NL",  ggml: 20, blockSize: 32,  typeSize: 18,  kernel: "iq4_nl",  kernels: "weighted", fallback: "F16" },
  { name: "IQ4_XS",  ggml: 23, blockSize: 256, typeSize: 136, kernel: "iq4_xs",  kernels: "weighted", fallback: "IQ4_NL" },
  { name: "TQ1_0",   ggml: 34, blockSize: 256, typeSize: 54,  kernel: "tq1_0",   kernels: "write",    fallback: "Q4_0" },
  { name: "TQ2_0",   ggml: 35, blockSize: 256, typeSize: 66,  kernel: "tq2_0",   kernels: "write",    fallback: "Q4_0" },
  { name: "MXFP4",   ggml: 39, blockSize: 32,  typeSize: 17,  kernel: "mxfp4",   kernels: "write",    fallback: "F16" },
  { name: "Q2_K",    ggml: 10, blockSize: 256, typeSize: 84,  kernel: "q2_k",    kernels: "weighted", fallback: "Q4_0" },
  { name: "Q3_K",    ggml: 11, blockSize: 256, typeSize: 110, kernel: "q3_k",    kernels: "weighted", fallback: "Q4_0" },
  { name: "Q4_K",    ggml: 12, blockSize: 256, typeSize: 144, kernel: "q4_k",    kernels: "weighted", fallback: "Q5_0" },
  { name: "Q5_K",    ggml: 13, blockSize: 256, typeSize: 176, kernel: "q5_k",    kernels: "weighted", fallback: "Q5_1" },
  { name: "Q6_K",    ggml: 14, blockSize: 256, typeSize: 210, kernel: "q6_k",    kernels: "weighted", fallback: "Q8_0" },
  { name: "Q8_1",    ggml: 9,  blockSize: 32,  typeSize: 36,  kernel: "q8_1",    kernels: "read" },
  { name: "NVFP4",   ggml: 40, blockSize: 64,  typeSize: 36,  kernel: "nvfp4",   kernels: "write",    fallback: "Q4_0" },
  { name: "Q1_0",    ggml: 41, blockSize: 128, typeSize: 18,  kernel: "q1_0",    kernels: "write",    fallback: "Q4_0" },
  { name: "Q2_0",    ggml: 42, blockSize: 64,  typeSize: 18,  kernel: "q2_0",    kernels: "write",    fallback: "Q4_0" },
  { name: "IQ1_S",   ggml: 19, blockSize: 256, typeSize: 50,  kernel: "iq1_s",   kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ1_M",   ggml: 29, blockSize: 256, typeSize: 56,  kernel: "iq1_m",   kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ2_XXS", ggml: 16, blockSize: 256, typeSize: 66,  kernel: "iq2_xxs", kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ2_XS",  ggml: 17, blockSize: 256, typeSize: 74,  kernel: "iq2_xs",  kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ2_S",   ggml: 22, blockSize: 256, typeSize: 82,  kernel: "iq2_s",   kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ3_XXS", ggml: 18, blockSize: 256, typeSize: 98,  kernel: "iq3_xxs", kernels: "weighted", fallback: "IQ4_NL" },
  { name: "IQ3_S",   ggml: 21, blockSize: 256, typeSize: 110, kernel: "iq3_s",   kernels: "weighted", fallback: "IQ4_NL" },
] as const satisfies readonly DType[];

export type DTypeName = (typeof DTYPES)[number]["name"];

const byName = new Map<string, DType>(DTYPES.map((row) => [row.name, row]));
const byId = new Map<number, DType>(DTYPES.map((row) => [row.ggml, row]));

export function dtype(name: DTypeName): DType {
  return byName.get(name)!;
}

/** The type of that name, in any case. */
export function findDType(name: string): DTypeName | undefined {
  return byName.get(name.toUpperCase())?.name as DTypeName | undefined;
}

/** The type with this id in a GGUF file, if this version knows it. */
export function dtypeById(id: number): DTypeName | undefined {
  return byId.get(id)?.name as DTypeName | undefined;
}

/**
 * Bytes of a tensor (shape outermost first), rows being whole numbers of blocks.
 * @throws LlqError `bad-input` when they are not, or the size exceeds 2^53
 */
export function byteLength(name: DTypeName, shape: readonly number[]): number {
  const { blockSize, typeSize } = dtype(name);
  const rowLength = shape.at(-1) ?? 1;
  if (rowLength % blockSize !== 0) {
    throw new LlqError(
      "bad-input",
      t`rows of ${rowLength} are not a whole number of ${name} blocks of ${blockSize}`,
    );
  }
  const bytes = (elementCount(shape) / blockSize) * typeSize;
  if (!Number.isSafeInteger(bytes))
    throw new LlqError("bad-input", t`a tensor of ${shape.join("x")} is too large`);
  return bytes;
}

/** Weights in a tensor; @throws LlqError `bad-input` beyond 2^53 */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const length of shape) {
    count *= length;
    if (!Number.isSafeInteger(count))
      throw new LlqError("bad-input", t`a tensor of ${shape.join("x")} is too large`);
  }
  return count;
}
