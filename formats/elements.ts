import type { DTypeName } from "./dtype.js";

/**
 * Types of a tensor's elements, as safetensors names them, in checkpoints of every kind: bits of an element, and
 * the row of DTYPES if weights are stored so. Tensors of the others are `opaque`.
 */
export const ELEMENT_TYPES: Readonly<Record<string, { readonly bits: number; readonly dtype?: DTypeName }>> =
  {
    F32: { bits: 32, dtype: "F32" },
    F16: { bits: 16, dtype: "F16" },
    BF16: { bits: 16, dtype: "BF16" },
    F64: { bits: 64, dtype: "F64" },
    C64: { bits: 64 },
    I64: { bits: 64 },
    U64: { bits: 64 },
    I32: { bits: 32 },
    U32: { bits: 32 },
    I16: { bits: 16 },
    U16: { bits: 16 },
    I8: { bits: 8 },
    U8: { bits: 8 },
    BOOL: { bits: 8 },
    F8_E4M3: { bits: 8 },
    F8_E5M2: { bits: 8 },
    F8_E8M0: { bits: 8 },
    F8_E4M3FNUZ: { bits: 8 },
    F8_E5M2FNUZ: { bits: 8 },
    F6_E2M3: { bits: 6 },
    F6_E3M2: { bits: 6 },
    F4: { bits: 4 },
  };
