import type { Coding, TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import type { Decoder } from "./packing.js";

/**
 * Of each `stride` rows of a matrix, `rows` from `first` on: [blocks, rows, columns], or turned, [blocks, columns, rows].
 * For what is packed itself, in which no row is found by counting elements.
 */
export interface RowBlocksCoding extends Coding {
  readonly kind: "rowBlocks";
  readonly base: TensorSource;
  readonly stride: number;
  readonly first: number;
  readonly rows: number;
  readonly turned: boolean;
}

export function rowBlocksOf({ coded }: TensorSource): RowBlocksCoding | undefined {
  return coded?.kind === rowBlocks.kind ? (coded as RowBlocksCoding) : undefined;
}

/** Some rows of a packed matrix as a matrix. */
export function blockOfRows(base: TensorSource, first: number, rows: number): TensorSource {
  const { file, offset, byteLength } = base;
  const coded: RowBlocksCoding = { kind: "rowBlocks", base, stride: rows, first, rows, turned: false };
  return { file, offset, byteLength, dtype: "F32", shape: [rows, rowLength(base)], coded };
}

export const rowBlocks: Decoder<RowBlocksCoding> = {
  kind: "rowBlocks",
  decode(reader, { base, stride, first: from, rows, turned }, { first, count, dst }) {
    const columns = rowLength(base);
    const each = turned ? columns : rows;
    const length = turned ? rows : columns;
    const whole = turned ? reader.kernels.reserve(rows * columns * 4) : 0;
    for (let done = 0; done < count; ) {
      const [block, row] = [Math.floor((first + done) / each), (first + done) % each];
      const some = Math.min(count - done, each - row);
      const [start, to] = [block * stride + from, dst + done * length * 4];
      if (turned) {
        reader.f32(base, start, rows, whole);
        turn(
          reader.kernels.floats(whole, rows * columns),
          columns,
          row,
          reader.kernels.floats(to, some * rows),
        );
      } else reader.f32(base, start + row, some, to);
      done += some;
    }
  },
};

/** Columns of `from` from `first` on as rows, as many as there is room for. */
function turn(from: Float32Array, columns: number, first: number, to: Float32Array): void {
  const rows = from.length / columns;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c * rows < to.length; c++) to[c * rows + r] = from[r * columns + first + c]!;
  }
}
