import { dtype } from "../../formats/dtype.js";
import { badInput, LlqError } from "../../formats/errors.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { t } from "../language/t.js";
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
  const hint = t`an importance matrix belongs to the model it was computed on`;
  if (!tensors.some(({ name }) => entries.has(name))) {
    throw badInput(t`${file}: none of its ${entries.size} entries is a tensor of this model`, hint);
  }
  return tensors.map((tensor) => {
    const values = entries.get(tensor.name);
    if (values === undefined) return undefined;
    const columns = rowLength(tensor);
    const matrices = tensor.shape.slice(0, -2).reduce((product, length) => product * length, 1);
    if (values.length !== matrices * columns) {
      const message = t`${file}: entry ${tensor.name} has ${values.length} values, but the tensor has ${matrices} x ${columns} columns`;
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

/** Texts that names of entries have in them. */
export interface EntryChoice {
  readonly includeWeights?: readonly string[] | undefined;
  readonly excludeWeights?: readonly string[] | undefined;
}

/**
 * The matrix with the entries whose names have one of the texts of `includeWeights` in them, or none of
 * `excludeWeights`, as llama-quantize chooses them.
 * @throws LlqError `usage` for a text that is in no name, and when no entry is left
 */
export function withEntries(imatrix: Imatrix, { includeWeights, excludeWeights }: EntryChoice): Imatrix {
  const texts = includeWeights ?? excludeWeights;
  if (texts === undefined) return imatrix;
  const option = includeWeights === undefined ? "--exclude-weights" : "--include-weights";
  const { file, entries } = imatrix;
  const names = [...entries.keys()];
  const idle = texts.find((text) => !names.some((name) => name.includes(text)));
  if (idle !== undefined) {
    throw new LlqError("usage", t`${option} ${idle}: ${file} has no such entry`, {
      hint: t`a part of a name, such as ${names[0]}`,
    });
  }
  const kept = [...entries].filter(
    ([name]) => texts.some((text) => name.includes(text)) === (includeWeights !== undefined),
  );
  if (kept.length > 0) return { ...imatrix, entries: new Map(kept) };
  throw new LlqError("usage", t`${option}: no entry of ${file} is left`, {
    hint: t`without --imatrix, then`,
  });
}
