import type { DTypeName } from "../../../formats/dtype.js";
import type { Model } from "../../model.js";
import { type ChoicesOptions, factsOf, losslessType } from "../plan.js";
import { candidatesFor } from "../recipes/candidates.js";
import { type Choice, chooseTypes, type Settled, settleTypes } from "../recipes/choose.js";
import { findRecipe, type Recipe } from "../recipes/recipes.js";

/** What the types of a model's tensors are chosen from. */
export interface Menu {
  readonly settled: readonly Settled[];
  /** The smallest first. */
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

export function menuOf(model: Model, options: ChoicesOptions): Menu {
  const facts = factsOf(model, options.guide);
  const settled = settleTypes(model.tensors, facts, options);
  const own = losslessType(model);
  const mixes = [...MIXES.map(findRecipe), own].map((recipe) => ({
    recipe,
    choices: chooseTypes(recipe, model.tensors, facts, options),
  }));
  const types = model.tensors.map((tensor, i) => {
    if (settled[i]!.choice !== undefined) return [];
    const ofMixes = mixes.map(({ choices }) => choices[i]!.dtype);
    return [...new Set([...candidatesFor(tensor), ...ofMixes])];
  });
  return { settled, mixes, types };
}
