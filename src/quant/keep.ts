import { findDType } from "../../formats/dtype.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { isOfBlocks } from "../rows/packed/blocks.js";
import { storedType } from "../rows/packed/index.js";
import type { Tensor } from "../tensor.js";
import type { KeyValue } from "./metadata.js";
import { type Choice, isConvertible, isQuantizable } from "./recipes/choose.js";
import { findRecipe, type Recipe, recipeNamed } from "./recipes/recipes.js";

const FLOATS: readonly string[] = ["F32", "F16", "BF16"];

/** Types that GGUF writes as they come. Other packed weights and those of other floats become F32. */
const WRITTEN: readonly string[] = [...FLOATS, "MXFP4"];

/** The types that keep every weight as it is, in the order of the tensors. */
export function keepTypes(model: Model): Choice[] {
  return model.tensors.map((tensor): Choice => {
    if (isGguf(model) || tensor.sources.some(isOfBlocks)) {
      return { dtype: tensor.dtype, reason: t`as it is stored`, fellBack: false };
    }
    const stored = storedType(tensor);
    if (!isConvertible(tensor)) return { dtype: "F32", reason: t`${tensor.role} stays F32`, fellBack: false };
    const kept = WRITTEN.includes(stored) ? findDType(stored)! : "F32";
    return { dtype: kept, reason: t`holds ${stored} exactly`, fellBack: false };
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

/** Added to the file type of a file that does not say its own. */
const GUESSED = 1024;

/** What llama-quantize sets in a copy: the version of the types, and which most tensors have where the file does not say. */
export function copyMetadata({ metadata, tensors }: Pick<Model, "metadata" | "tensors">): KeyValue[] {
  const version: KeyValue = ["general.quantization_version", meta.u32(2)];
  if (metadata.has("general.file_type")) return [version];
  const most = commonest(tensors.map(({ dtype }) => dtype)) ?? "F32";
  const recipe = recipeNamed(most) ?? findRecipe("F32"); // where llama.cpp does not know the type either
  return [version, ["general.file_type", meta.u32(recipe.fileType + GUESSED)]];
}

function commonest<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best), [undefined, 0] as [
    T | undefined,
    number,
  ])[0];
}

/** What a file of these types is called: the recipe of its matrices, where all are of one float type. */
export function recipeOfTypes(tensors: readonly Tensor[], choices: readonly Choice[]): Recipe {
  const types = tensors.flatMap((tensor, i) => (isQuantizable(tensor) ? [choices[i]!.dtype] : []));
  const most = commonest(types) ?? "F32";
  const isFloat = FLOATS.includes(most);
  const base = findRecipe(isFloat ? most : "F32");
  const distinct = new Set(types);
  for (const [type, recipe] of BLOCK_FILES) {
    if (distinct.has(type)) return { ...base, name: t`as stored`, fileType: findRecipe(recipe).fileType };
  }
  return distinct.size <= 1 && isFloat ? base : { ...base, name: t`as stored` };
}
