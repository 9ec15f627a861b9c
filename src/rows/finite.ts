import { badInput } from "../../formats/errors.js";
import type { Kernels } from "../kernels/kernels.js";
import { t } from "../language/t.js";
import { rowLength, type Tensor } from "../tensor.js";

/**
 * Refuses rows with an infinity or NaN among their `n` f32 at `x`: what rounds would look codes up by it.
 * @throws LlqError `bad-input`, naming the tensor, the row and the column
 */
export function checkFinite(kernels: Kernels, tensor: Tensor, x: number, n: number, firstRow: number): void {
  const index = kernels.call("first_nonfinite")(x, n);
  if (index < 0) return;
  const length = rowLength(tensor);
  const [row, column] = [firstRow + Math.floor(index / length), index % length];
  const value = kernels.floats(x, n)[index];
  const message = t`tensor ${tensor.name}: row ${row}, column ${column}: the weight is ${value}`;
  throw badInput(message, t`the checkpoint is damaged or was saved from a training run that diverged`);
}
