import type { TensorSource } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";

/** A matrix with rows for columns: nothing moves, it is read otherwise. @throws LlqError `unsupported` for packed ones */
export function transposed(source: TensorSource): TensorSource {
  const [rows, columns] = source.shape as readonly [number, number];
  const { coded } = source;
  if (coded?.kind === "sum") {
    const [a, b] = [transposed(coded.b), transposed(coded.a)]; // (b a)' = a' b'
    return { ...source, shape: [columns, rows], coded: { ...coded, base: transposed(coded.base), a, b } };
  }
  if (coded !== undefined) {
    throw new LlqError(
      "unsupported",
      `a weight packed as ${coded.kind} that the architecture has transposed`,
      {
        hint: "take the original checkpoint",
      },
    );
  }
  const [rowStride, columnStride] = source.strides ?? [columns, 1];
  return { ...source, shape: [columns, rows], strides: [columnStride!, rowStride!] };
}
