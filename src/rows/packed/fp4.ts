import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { rowCount, rowLength } from "../../tensor.js";
import type { Decoder } from "./packing.js";
import { codedSource } from "./parts.js";
import type { ScaledCoding } from "./scaled.js";

/** Two numbers of E2M1 in a byte, the lower half first, scales [out, groups]; w = q × (scale × factor / over / divisor). */
export interface Fp4Coding extends Coding {
  readonly kind: "fp4";
  readonly type: "NVFP4" | "MXFP4";
  /** Of E4M3 and E8M0. */
  readonly scales: TensorSource;
  readonly groupSize: number;
  /** One number [1, 1]. */
  readonly divisor?: TensorSource | undefined;
  /** One number [1, 1], or one for each of the stacked matrices [1, matrices]. */
  readonly factor?: TensorSource | undefined;
  /** What the factors are divided by first. */
  readonly over?: number;
  /** A scale for what runs through, which changes no weight: [1, 1], of `divisor`'s kind where there is one. */
  readonly inputs?: TensorSource | undefined;
  /** What runs through is to stay in 16 bits, whatever an engine can do. */
  readonly wideInputs?: true;
}

const E2M1 = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);

/** What writers of 4-bit floats share. */
export const fp4Decoder: Decoder<Fp4Coding> & { readonly typeOf: (coding: Fp4Coding) => string } = {
  kind: "fp4",
  // not a name of GGUF's types, which the bytes are not in the order of
  typeOf: ({ type }) => `${type}-packed`,

  rowsOf: fp4RowsOf,

  decode(reader, { scales, groupSize, divisor, factor, over = 1 }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const scale = reader.floats(scales, first, count);
    if (divisor !== undefined) {
      const by = reader.floats(divisor, 0, 1)[0]!;
      for (let i = 0; i < scale.length; i++) scale[i]! /= by;
    }
    if (factor !== undefined) {
      const factors = reader.floats(factor, 0, 1).map((by) => by / over);
      const groups = columns / groupSize;
      const each = rowsOfFactor(source, factor);
      for (let i = 0; i < scale.length; i++) {
        scale[i]! *= factors[Math.floor((first + Math.floor(i / groups)) / each)]!;
      }
    }
    const n = (count * columns) / 2;
    const stored = reader.bytes(source, (first * columns) / 2, n);
    const x = reader.kernels.floats(dst, n * 2);
    const half = groupSize / 2;
    for (let i = 0, g = 0; i < n; g++) {
      const by = scale[g]!;
      for (const end = i + half; i < end; i++) {
        const byte = stored[i]!;
        x[2 * i] = E2M1[byte & 15]! * by;
        x[2 * i + 1] = E2M1[byte >> 4]! * by;
      }
    }
  },
};

/** Small floats of a byte each as a table of scales. */
export function byteScales(raw: RawSource, type: "F8_E4M3" | "F8_E8M0"): TensorSource {
  return codedSource<ScaledCoding>(raw, raw.shape, { kind: "scaled", type });
}

/** How many rows have a factor in common. */
function rowsOfFactor(source: TensorSource, factor: TensorSource): number {
  return rowCount(source) / rowLength(factor);
}

function fp4RowsOf(base: TensorSource, first: number, rows: number): TensorSource {
  const coding = base.coded as Fp4Coding;
  const columns = rowLength(base);
  const all = rowCount(base);
  const some = (source: TensorSource): TensorSource => {
    const row = source.byteLength / all;
    return { ...source, offset: source.offset + first * row, byteLength: rows * row };
  };
  const scales = { ...some(coding.scales), shape: [rows, columns / coding.groupSize] };
  const factor = coding.factor && numberOf(coding.factor, first / rowsOfFactor(base, coding.factor));
  const coded: Fp4Coding = { ...coding, scales, factor };
  return { ...some(base), shape: [rows, columns], coded };
}

/** One of the numbers of a row, by itself. */
function numberOf(source: TensorSource, at: number): TensorSource {
  const byteLength = source.byteLength / rowLength(source);
  return { ...source, offset: source.offset + Math.floor(at) * byteLength, byteLength, shape: [1, 1] };
}
