import type { DTypeName } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import type { Tensor } from "../../tensor.js";
import { type ChoicesOptions, factsOf, losslessType } from "../plan.js";
import { candidatesFor, GUIDED, ladderOf } from "../recipes/candidates.js";
import { type Choice, chooseTypes, type Settled, settleTypes } from "../recipes/choose.js";
import { findRecipe, type Recipe } from "../recipes/recipes.js";

/** What the types of a model's tensors are chosen from. */
export interface Menu {
  readonly settled: readonly Settled[];
  /** The first has the smallest types. */
  readonly mixes: readonly Mix[];
  /** The types that each tensor may get, those of all mixes too; none where the type is settled. */
  readonly types: readonly (readonly DTypeName[])[];
}

/** A fixed mix, and what it makes of each tensor. */
export interface Mix {
  readonly recipe: Recipe;
  readonly choices: readonly Choice[];
}

// biome-ignore format: one line
const MIXES = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"];
// biome-ignore format: one line
const GUIDED_MIXES = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M"];

/** @param without types that are not to be chosen, though an importance matrix would guide them, nor mixes that have them */
export function menuOf(
  model: Model,
  options: ChoicesOptions,
  without: ReadonlySet<DTypeName> = new Set(),
): Menu {
  const facts = factsOf(model, options.guide);
  const settled = settleTypes(model.tensors, facts, options);
  const mixOf = (recipe: Recipe): Mix => ({
    recipe,
    choices: chooseTypes(recipe, model.tensors, facts, options),
  });
  const isGuided = (tensor: Tensor) => options.guide?.entries.has(tensor.name) === true;
  const isBlind = ({ choices }: Mix) =>
    model.tensors.some((tensor, i) => {
      const { dtype } = choices[i]!;
      return without.has(dtype) || (GUIDED.has(dtype) && !isGuided(tensor));
    });
  const low = options.guide === undefined ? [] : GUIDED_MIXES.map(findRecipe).map(mixOf);
  const mixes = [
    ...low.filter((mix) => !isBlind(mix)),
    ...[...MIXES.map(findRecipe), losslessType(model)].map(mixOf),
  ];
  const types = model.tensors.map((tensor, i) => {
    if (settled[i]!.choice !== undefined) return [];
    const ofMixes = mixes.map(({ choices }) => choices[i]!.dtype);
    const all = new Set([...candidatesFor(tensor, ladderOf(isGuided(tensor))), ...ofMixes]);
    return [...all].filter((type) => !without.has(type));
  });
  return { settled, mixes, types };
}
