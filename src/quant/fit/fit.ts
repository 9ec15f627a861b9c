import { byteLength } from "../../../formats/dtype.js";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Outline } from "../../outline.js";
import { FLOATS } from "../plan.js";
import { RECIPES, type Recipe } from "../recipes/recipes.js";
import { type KvType, largestContext, type RunMemory, runBytes, runMemory } from "./memory.js";
import { recipeSize, weightCount } from "./size.js";

export interface FitOptions {
  /** Bytes that the model may take when it runs. */
  readonly memory: number;
  /** Tokens; as many as the model was trained for, up to 4096, if undefined. */
  readonly context?: number | undefined;
  readonly kvType?: KvType | undefined;
}

/** A file that could be made of the model, or the one that it is. */
export interface FitRow {
  /** The recipe's name; undefined for the model as it is stored, if that is quantized. */
  readonly recipe: string | undefined;
  readonly needsImatrix: boolean;
  readonly weightBytes: number;
  readonly bitsPerWeight: number;
  /** Of weights and everything else, at the context asked for. */
  readonly totalBytes: number;
  readonly fits: boolean;
  /** The most tokens that fit, up to the model's own; undefined when none do. */
  readonly largestContext: number | undefined;
}

export interface Fit {
  readonly weights: number;
  readonly context: number;
  readonly kvType: KvType;
  /** What is needed beside the weights, at that context. */
  readonly run: RunMemory;
  /** The largest file first. */
  readonly rows: readonly FitRow[];
  /** The recipe that should be the best of those that fit. */
  readonly suggested: string | undefined;
}

/** Types that a k-quant of no larger size surpasses. */
const SURPASSED: ReadonlySet<string | undefined> = new Set(["Q4_0", "Q4_1", "Q5_0", "Q5_1", "NVFP4"]);

const DEFAULT_CONTEXT = 4096;

/**
 * What of a model fits an amount of memory.
 * @throws LlqError `usage` for a context beyond the model's
 */
export function planFit(outline: Outline, { memory, context: wanted, kvType = "f16" }: FitOptions): Fit {
  const { path, hparams, tensors, stored } = outline;
  const { contextLength } = hparams;
  const context = wanted ?? Math.min(DEFAULT_CONTEXT, contextLength);
  if (context > contextLength) {
    throw new LlqError("usage", t`${path}: trained for ${contextLength} tokens; ${context} are beyond it`, {
      hint: t`--context ${contextLength} or less`,
    });
  }
  const weights = weightCount(tensors);
  const beside = (tokens: number) => runBytes(runMemory(outline, tokens, kvType));
  const row = (recipe: Recipe | undefined, weightBytes: number): FitRow => {
    const totalBytes = weightBytes + beside(context);
    return {
      recipe: recipe?.name,
      needsImatrix: recipe?.needsImatrix === true,
      weightBytes,
      bitsPerWeight: (weightBytes * 8) / weights,
      totalBytes,
      fits: totalBytes <= memory,
      largestContext: largestContext(contextLength, memory, (tokens) => weightBytes + beside(tokens)),
    };
  };
  const rows = RECIPES.filter((recipe) => isMeantFor(recipe, hparams.expertCount)).map((recipe) =>
    row(recipe, recipeSize(outline, recipe).byteLength),
  );
  if (stored && tensors.some(({ dtype }) => !FLOATS.has(dtype))) {
    const bytes = tensors.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
    rows.push(row(undefined, bytes));
  }
  rows.sort((a, b) => b.weightBytes - a.weightBytes);
  const suggested = rows.find(({ fits, recipe }) => fits && recipe !== undefined && !SURPASSED.has(recipe));
  const run = runMemory(outline, context, kvType);
  return { weights, context, kvType, run, rows, suggested: suggested?.recipe };
}

/** Some recipes are for models of experts, or for models whose weights were trained to be ternary. */
function isMeantFor({ meantFor }: Recipe, experts: number): boolean {
  return meantFor === undefined || (meantFor === "experts" && experts > 0);
}

/** @throws LlqError `no-space` when no row fits, saying what would */
export function checkSomeFit({ path }: Outline, fit: Fit, memory: number): void {
  if (fit.rows.some(({ fits }) => fits)) return;
  const smallest = fit.rows.at(-1)!;
  const [needed, given] = [smallest.totalBytes, memory].map((bytes) => `${(bytes / 1e9).toFixed(2)} GB`);
  const name = smallest.recipe ?? t`the model as it is`;
  const message = t`${path}: nothing fits ${given} with ${fit.context} tokens: ${name}, the smallest, needs ${needed}`;
  const shorter = smallest.largestContext;
  throw new LlqError("no-space", message, {
    hint:
      shorter === undefined
        ? t`--memory ${(Math.ceil(smallest.totalBytes / 1e8) / 10).toFixed(1)}GB, or a smaller model`
        : t`--context ${shorter} fits, as does --memory ${(Math.ceil(smallest.totalBytes / 1e8) / 10).toFixed(1)}GB`,
  });
}
