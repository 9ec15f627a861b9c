import { readText } from "../../../formats/bytes.js";
import { dtype } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { compileExpression, findWritableType, type Override } from "./override.js";
import type { Recipe } from "./rules.js";

const MAX_FILE_BYTES = 1 << 20;

/**
 * Reads `<expression>=<type>` as llama-quantize's --tensor-type: the expression, which is made lower case, is searched
 * for in a tensor's name.
 * @param where the option or the file, for errors
 * @throws LlqError `usage`
 */
export function parseTensorType(text: string, where = "--tensor-type"): Override {
  const at = text.indexOf("=");
  if (at <= 0 || at === text.length - 1) {
    throw new LlqError(
      "usage",
      t`${where} ${text}: a regular expression, an equals sign and a type are needed`,
      {
        hint: t`such as attn_v=q8_0 or blk\\.(0|1)\\.ffn=q6_k`,
      },
    );
  }
  const pattern = text.slice(0, at).toLowerCase();
  const names = compileExpression(`${where} ${pattern}`, pattern);
  return { pattern, names, dtype: findWritableType(text.slice(at + 1)) };
}

/** Repetitions in an expression of a file: each multiplies the time of a search by the length of a name. */
const MAX_REPETITIONS = 4;

/** Lists go from hand to hand, so one must not be able to take forever. @throws LlqError `usage` */
function checkTime(entry: string, path: string): void {
  const repetitions = entry.match(/[*+]|\{\d+,/g)?.length ?? 0;
  if (repetitions <= MAX_REPETITIONS && !/\)[*+{]/.test(entry)) return;
  throw new LlqError("usage", t`--tensor-type-file ${path}: ${entry} may take forever`, {
    hint: t`no repeated groups, and at most ${MAX_REPETITIONS} of * and +; --tensor-type takes any expression`,
  });
}

/** Reads a file of them, with white space between; from # at a word's start a line is a comment. @throws LlqError `usage`, and as readText does */
export function readTensorTypes(path: string): Override[] {
  const entries = readText(path, MAX_FILE_BYTES)
    .replace(/(?<!\S)#.*/g, "")
    .split(/\s+/)
    .filter((entry) => entry !== "");
  for (const entry of entries) checkTime(entry, path);
  const types = entries.map((entry) => parseTensorType(entry, path));
  if (types.length > 0) return types;
  throw new LlqError("usage", t`--tensor-type-file ${path}: names no tensor`, {
    hint: t`a line such as attn_v=q8_0 for each type`,
  });
}

/** The first whose expression is found in the tensor's name. */
export function tensorTypeOf(
  types: readonly Override[],
  { name }: { readonly name: string },
): Override | undefined {
  return types.find(({ names }) => names.test(name));
}

/**
 * Refuses types of which none would have an effect. Lists are written for many models, so one that names nothing of this
 * one is no mistake.
 * @param open the tensors whose types are a matter of choice
 * @throws LlqError `usage`
 */
export function checkTensorTypes(
  open: readonly { readonly name: string }[],
  recipe: Recipe,
  types: readonly Override[],
): void {
  if (dtype(recipe.base).blockSize === 1) {
    throw new LlqError("usage", t`--tensor-type changes nothing of ${recipe.name}, as in llama-quantize`, {
      hint: t`--tensor does`,
    });
  }
  if (types.some(({ names }) => open.some(({ name }) => names.test(name)))) return;
  const [{ pattern } = { pattern: "" }] = types;
  throw new LlqError("usage", t`--tensor-type ${pattern} is found in no name of a tensor`, {
    hint: t`such as ${open[0]?.name}`,
  });
}
