import type { Coding, TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import type { Decoder } from "./packing.js";

/** base × factor: one factor [1, 1] for all rows, or one for each of the stacked matrices [1, matrices]. */
export interface TimesCoding extends Coding {
  readonly kind: "times";
  readonly base: TensorSource;
  readonly factors: TensorSource;
}

export const times: Decoder<TimesCoding> = {
  kind: "times",
  decode(reader, { base, factors }, { source, first, count, dst }) {
    const factor = reader.floats(factors, 0, 1);
    reader.f32(base, first, count, dst);
    const columns = rowLength(source);
    const rows = factor.length === 1 ? Number.POSITIVE_INFINITY : source.shape.at(-2)!;
    const x = reader.kernels.floats(dst, count * columns);
    for (let r = 0; r < count; r++) {
      const by = factor[Math.floor((first + r) / rows)]!;
      for (let i = r * columns, end = i + columns; i < end; i++) x[i]! *= by;
    }
  },
};

export function timesOf({ coded }: TensorSource): TimesCoding | undefined {
  return coded?.kind === times.kind ? (coded as TimesCoding) : undefined;
}
