import { dtype } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { rowLength, type Tensor } from "../tensor.js";
import type { Choice } from "./recipes/choose.js";

/** Importance of the columns of a tensor: one array, or one for each of its stacked matrices. */
export type Weights = readonly Float32Array[];

/**
 * The importances for each tensor, in order; undefined where the matrix has none.
 * @throws LlqError `bad-input` when the matrix was computed on another model
 */
export function importancesOf(
  tensors: readonly Tensor[],
  { file, entries }: Imatrix,
): (Weights | undefined)[] {
  const hint = "an importance matrix belongs to the model it was computed on";
  if (!tensors.some(({ name }) => entries.has(name))) {
    throw badInput(`${file}: none of its ${entries.size} entries is a tensor of this model`, hint);
  }
  return tensors.map((tensor) => {
    const values = entries.get(tensor.name);
    if (values === undefined) return undefined;
    const columns = rowLength(tensor);
    const matrices = tensor.shape.slice(0, -2).reduce((product, length) => product * length, 1);
    if (values.length !== matrices * columns) {
      const message = `${file}: entry ${tensor.name} has ${values.length} values, but the tensor has ${matrices} x ${columns} columns`;
      throw badInput(message, hint);
    }
    return Array.from({ length: matrices }, (_, m) => values.slice(m * columns, (m + 1) * columns));
  });
}

/**
 * The importances that guide each tensor's rounding: of those whose chosen type takes any.
 * @throws LlqError `bad-input` when the matrix was computed on another model
 */
export function weightsOf(
  tensors: readonly Tensor[],
  choices: readonly Choice[],
  imatrix: Imatrix,
): (Weights | undefined)[] {
  const importances = importancesOf(tensors, imatrix);
  return importances.map((weights, i) => (takesWeights(choices[i]!) ? weights : undefined));
}

/** Whether an importance matrix makes a difference to the type. */
export function takesWeights(choice: Pick<Choice, "dtype">): boolean {
  return dtype(choice.dtype).kernels === "weighted";
}
