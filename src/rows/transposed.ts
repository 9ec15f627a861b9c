import type { TensorSource } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { type SumCoding, sumOf } from "./packed/sum.js";

/** A matrix with rows for columns: nothing moves, it is read otherwise. @throws LlqError `unsupported` for packed ones */
export function transposed(source: TensorSource): TensorSource {
  const [rows, columns] = source.shape as readonly [number, number];
  const added = sumOf(source);
  if (added !== undefined) {
    const [a, b] = [transposed(added.b), transposed(added.a)]; // (b a)' = a' b'
    const coded: SumCoding = { ...added, base: transposed(added.base), a, b };
    return { ...source, shape: [columns, rows], coded };
  }
  if (source.coded !== undefined) {
    throw new LlqError(
      "unsupported",
      t`a weight packed as ${source.coded.kind} that the architecture has transposed`,
      { hint: t`take the original checkpoint` },
    );
  }
  const [rowStride, columnStride] = source.strides ?? [columns, 1];
  return { ...source, shape: [columns, rows], strides: [columnStride!, rowStride!] };
}
