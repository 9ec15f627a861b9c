import { type DTypeName, dtype } from "../../formats/dtype.js";
import { LlqError, nearest } from "../../formats/errors.js";
import { type Role, rowLength, type Tensor } from "../tensor.js";

/** Which type the tensors of a role get; the first rule that fits wins. */
export interface Rule {
  readonly role: Role;
  readonly dtype: DTypeName;
}

/** What ggml calls an ftype: a base type for matrices, and the exceptions. */
export interface Recipe {
  readonly name: string;
  /** general.file_type */
  readonly fileType: number;
  readonly base: DTypeName;
  readonly rules: readonly Rule[];
}

// biome-ignore format: columns
export const RECIPES: readonly Recipe[] = [
  { name: "F32",  fileType: 0,  base: "F32",  rules: [] },
  { name: "F16",  fileType: 1,  base: "F16",  rules: [] },
  { name: "BF16", fileType: 32, base: "BF16", rules: [] },
  { name: "Q8_0", fileType: 7,  base: "Q8_0", rules: [] },
  { name: "Q4_0", fileType: 2,  base: "Q4_0", rules: [] },
];

/** What `--bits` stands for. */
export const BITS: Record<string, string> = { "4": "Q4_0", "8": "Q8_0" };

/** @throws LlqError `usage` naming the recipes, and the nearest */
export function findRecipe(name: string): Recipe {
  const found = RECIPES.find((recipe) => recipe.name.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const names = RECIPES.map((recipe) => recipe.name);
  const near = nearest(name, names);
  throw new LlqError("usage", `unknown type ${name}`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}known: ${names.join(", ")}`,
  });
}

export interface Choice {
  readonly dtype: DTypeName;
  /** Why, for the dry run. */
  readonly reason: string;
  /** The rows did not divide into blocks of the wanted type. */
  readonly fellBack: boolean;
}

/** The type each tensor is written in, in the order of `tensors`. */
export function chooseTypes(recipe: Recipe, tensors: readonly Tensor[]): Choice[] {
  return tensors.map((tensor) => {
    // ggml adds and multiplies vectors in F32 only, and they are small.
    if (tensor.shape.length === 1) return { dtype: "F32", reason: "vectors stay F32", fellBack: false };
    const rule = recipe.rules.find(({ role }) => role === tensor.role);
    const wanted = rule?.dtype ?? recipe.base;
    const reason = rule === undefined ? recipe.name : `${recipe.name}: ${tensor.role}`;
    return fitRow(wanted, rowLength(tensor), reason);
  });
}

/** The type itself, or the first of its fallbacks whose blocks divide a row of that length. */
export function fitRow(wanted: DTypeName, length: number, reason: string): Choice {
  let name = wanted;
  while (length % dtype(name).blockSize !== 0) name = dtype(name).fallback as DTypeName;
  if (name === wanted) return { dtype: name, reason, fellBack: false };
  const blocks = `rows of ${length} are no whole number of ${wanted} blocks of ${dtype(wanted).blockSize}`;
  return { dtype: name, reason: `${reason}; ${blocks}`, fellBack: true };
}
