import type { Coding, TensorSource } from "../../../formats/container.js";
import { byteLength, dtype } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { rowLength } from "../../tensor.js";
import type { Fp4Coding } from "./fp4.js";
import type { Decoder } from "./packing.js";
import type { ScaledCoding } from "./scaled.js";

// 4-bit floats whose groups are those of GGUF's blocks: the same scales and numbers, bytes and halves of bytes in another
// order. What a tensor as a whole is multiplied by, blocks have no place for.

/** Two numbers of E2M1 in a byte, the lower half first, and a scale of a byte for each group. */
export interface Fp4BlocksCoding extends Coding {
  readonly kind: "fp4-blocks";
  /** [rows, groups] of bytes. */
  readonly scales: TensorSource;
}

/** Columns of a group, groups of a block, and bytes that a scale of no positive number has. */
const FORMS = {
  MXFP4: { group: 32, groups: 1, isNumber: (scale: number) => scale !== 0xff },
  NVFP4: { group: 16, groups: 4, isNumber: (scale: number) => scale < 0x7f },
} as const;

export const fp4Blocks: Decoder<Fp4BlocksCoding> = {
  kind: "fp4-blocks",
  decode(reader, { scales }, { source, first, count, dst }) {
    const { group, groups, isNumber } = FORMS[source.dtype as "MXFP4" | "NVFP4"];
    const columns = rowLength(source);
    const perRow = columns / group;
    const scale = reader.bytes(scales, first * perRow, count * perRow).slice();
    const quants = reader.bytes(source, (first * columns) / 2, (count * columns) / 2).slice();
    const odd = scale.findIndex((each) => !isNumber(each));
    if (odd >= 0) {
      const row = first + Math.floor(odd / perRow);
      throw badInput(
        t`tensor ${reader.name}: row ${row}: a scale is the byte ${scale[odd]}, no positive number`,
      );
    }
    const out = reader.kernels.bytes(dst, byteLength(source.dtype, [count, columns]));
    for (let g = 0, to = 0; g < scale.length; ) {
      for (let i = 0; i < groups; i++) out[to++] = scale[g + i]!;
      for (let i = 0; i < groups; i++, g++, to += group / 2)
        inHalves(quants, (g * group) / 2, out, to, group);
    }
  },
};

/** From numbers 2j and 2j + 1 of a group in byte j to numbers j and j + half a group in it. */
export function inHalves(from: Uint8Array, at: number, to: Uint8Array, out: number, group: number): void {
  const bytes = group / 2;
  for (let j = 0; j < bytes; j += 2) {
    const [low, high] = [from[at + j / 2]!, from[at + j / 2 + bytes / 2]!];
    to[out + j] = (low & 15) | ((high & 15) << 4);
    to[out + j + 1] = (low >> 4) | (high & 0xf0);
  }
}

/** Such a weight as GGUF's blocks; undefined for other weights, and where its rows are no whole number of blocks. */
export function asFp4Blocks(source: TensorSource): TensorSource | undefined {
  if (source.coded?.kind !== "fp4") return undefined;
  const { type, scales, groupSize } = source.coded as Fp4Coding;
  const isOfBytes = (scales.coded as ScaledCoding | undefined)?.kind === "scaled";
  if (!isOfBytes || groupSize !== FORMS[type].group || rowLength(source) % dtype(type).blockSize !== 0)
    return undefined;
  const { file, offset, byteLength: length, shape } = source;
  const bytes: TensorSource = {
    file: scales.file,
    offset: scales.offset,
    byteLength: scales.byteLength,
    dtype: "F32",
    shape: scales.shape,
  };
  const coded: Fp4BlocksCoding = { kind: "fp4-blocks", scales: bytes };
  return { file, offset, byteLength: length, dtype: type, shape, coded };
}
