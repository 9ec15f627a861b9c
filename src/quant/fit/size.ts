import { byteLength, type DTypeName, elementCount } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import type { OutlineTensor } from "../../arch/outline.js";
import type { Outline } from "../../outline.js";
import { factsOf } from "../plan.js";
import { chooseTypes } from "../recipes/choose.js";
import type { Recipe } from "../recipes/recipes.js";

/** How large a model is in one recipe: its tensors, without the file's header. */
export interface RecipeSize {
  readonly recipe: Recipe;
  readonly byteLength: number;
  readonly bitsPerWeight: number;
}

/** The type of every tensor of a model in a recipe, by its name, without an importance matrix. */
export function recipeTypes(
  { architecture, hparams, tensors, container }: Outline,
  recipe: Recipe,
): ReadonlyMap<string, DTypeName> {
  const choices = chooseTypes(
    recipe,
    tensors,
    factsOf({ architecture, hparams, ...(container && { container }) }, undefined),
  );
  return new Map(tensors.map(({ name }, i) => [name, choices[i]!.dtype]));
}

/** The exact size of a model in a recipe, without an importance matrix. */
export function recipeSize(outline: Outline, recipe: Recipe): RecipeSize {
  const { tensors } = outline;
  const types = recipeTypes(outline, recipe);
  const bytes = tensors.reduce((sum, { name, shape }) => sum + byteLength(types.get(name)!, shape), 0);
  return { recipe, byteLength: bytes, bitsPerWeight: (bytes * 8) / weightCount(tensors) };
}

export function weightCount(tensors: readonly Pick<OutlineTensor, "shape">[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

const POWERS = "KMGT";

/**
 * Reads an amount of memory: `8GB` is 8 × 1000³ bytes, `8GiB` 8 × 1024³; `8G` is `8GB`, `8B` is 8.
 * @param option what it is the value of, for the message
 * @throws LlqError `usage`
 */
export function parseBytes(option: string, text: string): number {
  const [, digits, unit, binary] =
    /^(\d{1,15}(?:\.\d{1,6})?) ?(?:([KMGT])(i?)B?|B)$/i.exec(text.trim()) ?? [];
  const base = binary?.toLowerCase() === "i" ? 1024 : 1000;
  const bytes = Math.floor(Number(digits) * base ** (POWERS.indexOf(unit?.toUpperCase() ?? "") + 1));
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new LlqError("usage", `${option} ${text}: not an amount of memory`, {
    hint: `${option} 8GB (8 × 1000³ bytes), 8GiB (8 × 1024³) or 500MB`,
  });
}
