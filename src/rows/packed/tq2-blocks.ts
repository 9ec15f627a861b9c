import type { Coding, TensorSource } from "../../../formats/container.js";
import { byteLength, dtype } from "../../../formats/dtype.js";
import { rowLength } from "../../tensor.js";
import type { TernaryCoding } from "./bitnet.js";
import type { Decoder } from "./packing.js";

/** Numbers of a block, of a run of 32 bytes in it, and bytes before the block's own scale. */
const BLOCK = 256;
const RUN = 128;
const QUANTS = 64;

/** 1 as a half. */
const ONE = [0x00, 0x3c] as const;

/**
 * BitNet's three values as GGUF's TQ2_0, which has the same two bits for each in another order: rows stand apart. Blocks
 * have the scale 1; what the matrix is multiplied by has no place in a half, and stands beside it.
 */
export interface Tq2BlocksCoding extends Coding {
  readonly kind: "tq2-blocks";
  readonly rows: number;
}

export const tq2Blocks: Decoder<Tq2BlocksCoding> = {
  kind: "tq2-blocks",
  decode(reader, { rows }, { source, first, count, dst }) {
    const columns = rowLength(source);
    const quarter = rows / 4;
    const { kernels } = reader;
    const length = byteLength("TQ2_0", [count, columns]);
    kernels.bytes(dst, length).fill(0);
    const mark = kernels.mark();
    let at = 0;
    for (let row = first; row < first + count; row++) {
      const stored = reader.bytes(source, (row % quarter) * columns, columns);
      const out = kernels.bytes(dst, length); // a row that is read may move the memory
      const shift = 2 * Math.floor(row / quarter);
      for (let block = 0; block < columns; block += BLOCK, at += QUANTS + ONE.length) {
        for (let i = 0; i < BLOCK; i++) {
          const within = i % RUN;
          const code = (stored[block + i]! >> shift) & 3;
          const byte = at + Math.floor(i / RUN) * 32 + (within % 32);
          out[byte] = out[byte]! | (code << (2 * Math.floor(within / 32)));
        }
        out.set(ONE, at + QUANTS);
      }
      kernels.reset(mark);
    }
  },
};

/** Such a weight as GGUF's blocks; undefined for other weights, and where its rows are no whole number of blocks. */
export function asTq2Blocks(source: TensorSource): TensorSource | undefined {
  if (source.coded?.kind !== "bitnet" || rowLength(source) % dtype("TQ2_0").blockSize !== 0) return undefined;
  const { file, offset, byteLength: length, shape } = source;
  const coded: Tq2BlocksCoding = { kind: "tq2-blocks", rows: (source.coded as TernaryCoding).rows };
  return { file, offset, byteLength: length, dtype: "TQ2_0", shape, coded };
}
