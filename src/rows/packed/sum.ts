import type { Coding, TensorSource } from "../../../formats/container.js";
import { rowLength } from "../../tensor.js";
import type { Decoder } from "./packing.js";
import { rowBlocksOf } from "./row-blocks.js";
import { timesOf } from "./times.js";

/** base + scale × b a, with b [out, rank] and a [rank, in]: an adapter added to what may be packed itself. */
export interface SumCoding extends Coding {
  readonly kind: "sum";
  readonly base: TensorSource;
  readonly a: TensorSource;
  readonly b: TensorSource;
  readonly scale: number;
}

export const sum: Decoder<SumCoding> = {
  kind: "sum",
  decode(reader, { base, a, b, scale }, { source, first, count, dst }) {
    const { kernels } = reader;
    reader.f32(base, first, count, dst);
    const rank = rowLength(b);
    const left = kernels.reserve(count * rank * 4);
    reader.f32(b, first, count, left);
    const right = kernels.reserve(rank * rowLength(source) * 4);
    reader.f32(a, 0, rank, right);
    kernels.call("add_low_rank")(left, right, dst, count, rank, rowLength(source), scale);
  },
};

export function sumOf({ coded }: TensorSource): SumCoding | undefined {
  return coded?.kind === sum.kind ? (coded as SumCoding) : undefined;
}

/** What is stored beneath it, which says its type and how it lies: what is added to, multiplied, or cut in blocks. */
export function baseOf(source: TensorSource): TensorSource {
  const base = (sumOf(source) ?? timesOf(source) ?? rowBlocksOf(source))?.base;
  return base === undefined ? source : baseOf(base);
}
