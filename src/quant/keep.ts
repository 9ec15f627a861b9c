import { type DTypeName, findDType } from "../../formats/dtype.js";
import type { Model } from "../model.js";
import { isOfBlocks } from "../rows/packed/blocks.js";
import { storedType } from "../rows/packed/index.js";
import type { Tensor } from "../tensor.js";
import { type Choice, isConvertible, isQuantizable } from "./recipes/choose.js";
import { findRecipe, type Recipe } from "./recipes/recipes.js";

const FLOATS: readonly string[] = ["F32", "F16", "BF16"];

/** Types that GGUF writes as they come. Other packed weights and those of other floats become F32. */
const WRITTEN: readonly string[] = [...FLOATS, "MXFP4"];

/** The types that keep every weight as it is, in the order of the tensors. */
export function keepTypes(model: Model): Choice[] {
  return model.tensors.map((tensor): Choice => {
    if (isGguf(model) || tensor.sources.some(isOfBlocks)) {
      return { dtype: tensor.dtype, reason: "as it is stored", fellBack: false };
    }
    const stored = storedType(tensor);
    if (!isConvertible(tensor)) return { dtype: "F32", reason: `${tensor.role} stays F32`, fellBack: false };
    const kept = WRITTEN.includes(stored) ? findDType(stored)! : "F32";
    return { dtype: kept, reason: `holds ${stored} exactly`, fellBack: false };
  });
}

/** Whether the file says of itself what GGUF says: then it is copied, metadata and all. */
export function isGguf({ container }: Model): boolean {
  return container.format === "gguf";
}

/** Recipes whose general.file_type a file has in which weights are of such blocks. */
const BLOCK_FILES = [
  ["NVFP4", "NVFP4"],
  ["MXFP4", "MXFP4_MOE"],
  ["TQ2_0", "TQ2_0"],
] as const;

/** What a file of these types is called: the recipe of its matrices, where all are of one float type. */
export function recipeOfTypes(tensors: readonly Tensor[], choices: readonly Choice[]): Recipe {
  const types = tensors.flatMap((tensor, i) => (isQuantizable(tensor) ? [choices[i]!.dtype] : []));
  const counts = new Map<DTypeName, number>();
  for (const type of types) counts.set(type, (counts.get(type) ?? 0) + 1);
  const [[most] = ["F32"]] = [...counts].sort((a, b) => b[1] - a[1]) as [DTypeName, number][];
  const isFloat = FLOATS.includes(most as string);
  const base = findRecipe(isFloat ? (most as string) : "F32");
  for (const [type, recipe] of BLOCK_FILES) {
    if (counts.has(type)) return { ...base, name: "as stored", fileType: findRecipe(recipe).fileType };
  }
  return counts.size <= 1 && isFloat ? base : { ...base, name: "as stored" };
}
