import { byteLength, type DTypeName, elementCount } from "../../../formats/dtype.js";
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
