import type { Coding, RawSource, TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import type { Decoder } from "./packing.js";
import { codedSource } from "./parts.js";
import { SMALL_VALUES } from "./scaled.js";

/** Rows and columns of a tile of scales, whose four runs of 32 rows lie side by side, four columns of each. */
const ROWS = 128;
const COLUMNS = 4;
const BYTES = ROWS * COLUMNS;

/** A table of small floats in the order that tensor cores read scales in (cuBLAS, "block scaling factors layout"). */
export interface SwizzledCoding extends Coding {
  readonly kind: "swizzled";
  readonly type: "F8_E4M3" | "F8_E8M0";
}

export const swizzled: Decoder<SwizzledCoding> = {
  kind: "swizzled",
  decode(reader, { type }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const values = SMALL_VALUES[type];
    const tiles = Math.ceil(columns / COLUMNS); // in a row of them
    const from = Math.floor(first / ROWS);
    const until = Math.floor((first + count - 1) / ROWS) + 1;
    const stored = reader.bytes(source, from * tiles * BYTES, (until - from) * tiles * BYTES);
    const x = reader.kernels.floats(dst, count * columns);
    for (let i = 0, row = first; row < first + count; row++) {
      const within = row % ROWS;
      const before = (Math.floor(row / ROWS) - from) * tiles * BYTES;
      const at = before + (within % 32) * 16 + Math.floor(within / 32) * COLUMNS;
      for (let c = 0; c < columns; c++) {
        x[i++] = values[stored[at + Math.floor(c / COLUMNS) * BYTES + (c % COLUMNS)]!]!;
      }
    }
  },
};

/** A table of [rows, columns] that is stored so; undefined for one of another size. */
export function swizzledScales(
  raw: RawSource,
  type: SwizzledCoding["type"],
  rows: number,
  columns: number,
): TensorSource | undefined {
  const bytes = Math.ceil(rows / ROWS) * Math.ceil(columns / COLUMNS) * BYTES;
  if (raw.byteLength !== bytes) return undefined;
  return codedSource<SwizzledCoding>(raw, [rows, columns], { kind: "swizzled", type });
}
