import type { Metadata, MetaField } from "../../formats/container.js";
import { byteLength, type DTypeName, elementCount } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { ggufHeader, meta } from "../../formats/gguf-write.js";
import type { Model } from "../model.js";
import type { Tensor } from "../tensor.js";
import { chooseTypes, findRecipe, type Recipe } from "./recipes.js";

/** One tensor of the output: what it is made of, what it becomes, where it goes. */
export interface TensorPlan {
  readonly tensor: Tensor;
  readonly dtype: DTypeName;
  /** Why this type. */
  readonly reason: string;
  /** The rows did not divide into blocks of the type the recipe wants. */
  readonly fellBack: boolean;
  /** Bytes from the start of the output file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Every decision about an output file, made before any work. Plain data. */
export interface Plan {
  readonly recipe: string;
  /** The files the tensors are read from, by TensorSource.file. */
  readonly files: readonly string[];
  /** The output up to its first tensor. */
  readonly header: Uint8Array;
  readonly tensors: readonly TensorPlan[];
  /** Of the whole output file. */
  readonly byteLength: number;
}

/** Weights in the planned file. */
export function planElements(plan: Plan): number {
  return plan.tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
}

/** Bits of tensor data per weight. */
export function bitsPerWeight(plan: Plan): number {
  return (plan.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0) * 8) / planElements(plan);
}

/** The 16- or 32-bit type that keeps a model's weights exactly: that of its matrices. */
export function losslessType(model: Model): Recipe {
  const matrix = model.tensors.find(({ shape }) => shape.length > 1);
  const stored = matrix?.dtype ?? "F32";
  return findRecipe(stored === "F16" || stored === "BF16" ? stored : "F32");
}

/** The conversion of a model to GGUF in one float type. */
export function planConvert(model: Model, recipe: Recipe): Plan {
  return planFile(model, recipe);
}

/**
 * The quantization of a model.
 * @throws LlqError `usage` when it is quantized already and `allowRequantize` is not set
 */
export function planQuantize(
  model: Model,
  recipe: Recipe,
  options: { allowRequantize?: boolean } = {},
): Plan {
  const quantized = model.tensors.find(({ dtype }) => !FLOATS.has(dtype));
  if (quantized !== undefined && options.allowRequantize !== true) {
    const message = `${model.path}: tensor ${quantized.name} is quantized already (${quantized.dtype})`;
    throw new LlqError("usage", message, {
      hint: "quantize the original model; --allow-requantize accepts the loss of doing it twice",
    });
  }
  return planFile(model, recipe);
}

const FLOATS: ReadonlySet<DTypeName> = new Set<DTypeName>(["F32", "F16", "BF16"]);

function planFile(model: Model, recipe: Recipe): Plan {
  const choices = chooseTypes(recipe, model.tensors);
  const outputs = model.tensors.map(({ name, shape }, i) => ({ name, shape, dtype: choices[i]!.dtype }));
  const { header, offsets, byteLength: total } = ggufHeader(withFileType(model.metadata, recipe), outputs);
  return {
    recipe: recipe.name,
    files: model.container.files,
    header,
    tensors: model.tensors.map((tensor, i) => ({
      tensor,
      ...choices[i]!,
      offset: offsets[i]!,
      byteLength: byteLength(choices[i]!.dtype, tensor.shape),
    })),
    byteLength: total,
  };
}

/** The metadata with what the recipe changes, existing keys in their place. */
function withFileType(metadata: Metadata, recipe: Recipe): Map<string, MetaField> {
  const result = new Map(metadata);
  result.set("general.file_type", meta.u32(recipe.fileType));
  result.set("general.quantization_version", meta.u32(2));
  return result;
}
