import type { Metadata } from "../../formats/container.js";
import { byteLength, type DTypeName, elementCount, findDType } from "../../formats/dtype.js";
import { LlqError, nearest } from "../../formats/errors.js";
import { ggufHeader } from "../../formats/gguf/gguf-write.js";
import type { Imatrix } from "../../formats/imatrix/imatrix.js";
import { t } from "../language/t.js";
import type { Model } from "../model.js";
import { storedType } from "../rows/packed/index.js";
import { keepsStoredValues, type Tensor } from "../tensor.js";
import type { Quote } from "./by-size/allocate.js";
import type { PriceKind } from "./by-size/prices.js";
import { asStored, carriedOver, wideKeys } from "./carried.js";
import { takesWeights, type Weights, weightsOf } from "./importance.js";
import { copyMetadata, isGguf, keepTypes, recipeOfTypes } from "./keep.js";
import { imatrixMetadata, type KeyValue, outputMetadata, provenance } from "./metadata.js";
import { pruneLayers } from "./prune.js";
import { GUIDED } from "./recipes/candidates.js";
import { type Choice, chooseTypes, isQuantizable, type TypeOptions } from "./recipes/choose.js";
import type { ModelFacts } from "./recipes/conditions.js";
import { matches } from "./recipes/override.js";
import { findRecipe, type Recipe } from "./recipes/recipes.js";
import { checkTensorTypes } from "./recipes/tensor-types.js";

/** One tensor of the output: what it is made of, what it becomes, where it goes. */
export interface TensorPlan {
  readonly tensor: Tensor;
  readonly dtype: DTypeName;
  /** Why this type. */
  readonly reason: string;
  /** The rows did not divide into blocks of the type the recipe wants. */
  readonly fellBack: boolean;
  readonly quote?: Quote;
  /** From an importance matrix; undefined without. */
  readonly weights: Weights | undefined;
  /** Bytes from the start of the output file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Every decision about an output file, made before any work. Plain data. */
export interface Plan {
  readonly recipe: string;
  /** The files the tensors are read from, by TensorSource.file. */
  readonly files: readonly string[];
  /** What the output says of itself. */
  readonly metadata: Metadata;
  /** The output up to its first tensor. */
  readonly header: Uint8Array;
  readonly tensors: readonly TensorPlan[];
  /** Tensors that an importance matrix should guide but says nothing of; none without a matrix. */
  readonly unguided: readonly string[];
  /** What a user should know of how the model was read. */
  readonly remarks: readonly string[];
  /** Of the whole output file. */
  readonly byteLength: number;
  /** How the types were chosen, for a file of a size. */
  readonly bySize?: BySize;
}

/** How a file came to be as large as it is. Plain data. */
export interface BySize {
  /** Bytes that the whole file may have. */
  readonly limit: number;
  readonly kind: PriceKind;
  /** Of all tensors together. */
  readonly price: number;
  /** The best fixed mix that fits; undefined when none does. */
  readonly mix: { readonly name: string; readonly byteLength: number; readonly price: number } | undefined;
  /** What a user should know of how the choice went. */
  readonly remarks: readonly string[];
}

/** Weights in the planned file. */
export function planElements(plan: Plan): number {
  return plan.tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
}

/** Bits of tensor data per weight. */
export function bitsPerWeight(plan: Plan): number {
  return (plan.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0) * 8) / planElements(plan);
}

/**
 * The 16- or 32-bit type that keeps a model's weights exactly: that of its matrices, and F32 for packed ones. What an
 * adapter adds to is taken for what it was before.
 */
export function losslessType(model: Model): Recipe {
  const matrices = model.tensors.filter(({ shape }) => shape.length > 1).map(storedType);
  const stored = matrices[0] ?? "F32";
  const isPacked = matrices.some((type) => findDType(type) === undefined);
  return findRecipe(!isPacked && (stored === "F16" || stored === "BF16") ? stored : "F32");
}

/** The conversion of a model to GGUF in one float type. */
export function planConvert(model: Model, recipe: Recipe, keys: readonly KeyValue[] = []): Plan {
  const choices = chooseTypes(recipe, model.tensors, factsOf(model, undefined), { allowRequantize: true });
  return planFile(model, recipe, choices, { keys });
}

/**
 * The conversion of a model to GGUF in which every weight is what it was: of a GGUF a copy, byte for byte, of which
 * only metadata may be set.
 */
export function planKeep(model: Model, keys: readonly KeyValue[] = []): Plan {
  if (isGguf(model)) {
    const stored = { ...model, tensors: asStored(model) };
    const choices = keepTypes(stored);
    const metadata = new Map([...model.metadata, ...keys]);
    return planFile(stored, recipeOfTypes(stored.tensors, choices), choices, { metadata });
  }
  const carried = model.tensors.map(
    (tensor) => carriedOver(model, tensor) ?? { tensors: [tensor], wide: [] },
  );
  const written = { ...model, tensors: carried.flatMap(({ tensors }) => tensors) };
  const choices = keepTypes(written);
  const wide = wideKeys(carried.flatMap((each) => each.wide));
  return planFile(written, recipeOfTypes(written.tensors, choices), choices, { keys: [...wide, ...keys] });
}

/**
 * The model as it is, less the layers that are left out: llama-quantize's COPY. Of a GGUF with the keys that it sets.
 * @throws LlqError `usage` as pruneLayers
 */
export function planCopy(
  model: Model,
  { pruneLayers: layers = [], overrideKv = [] }: Pick<QuantizeOptions, "pruneLayers" | "overrideKv">,
): Plan {
  const [kept] = pruneLayers(model, undefined, layers);
  return planKeep(kept, [...(isGguf(kept) ? copyMetadata(kept) : []), ...overrideKv]);
}

export interface QuantizeOptions extends TypeOptions {
  readonly imatrix?: Imatrix | undefined;
  /** Metadata to set. */
  readonly overrideKv?: readonly KeyValue[] | undefined;
  /** Layers to leave out. */
  readonly pruneLayers?: readonly number[] | undefined;
}

/**
 * The quantization of a model.
 * @throws LlqError `usage` when it is quantized already and `allowRequantize` is not set, for an option that
 * applies to no tensor, and for an importance matrix that is missing or of another model
 */
export function planQuantize(model: Model, recipe: Recipe, options: QuantizeOptions = {}): Plan {
  const [kept, imatrix] = pruneLayers(model, options.imatrix, options.pruneLayers ?? []);
  const choices = chooseTypes(recipe, kept.tensors, factsOf(kept, imatrix), options);
  return planChoices(kept, recipe, choices, { ...options, guide: imatrix });
}

/** What may be wanted of a file whose types are chosen. */
export interface ChoicesOptions extends QuantizeOptions {
  /** The importance matrix as far as it is of the tensors that are left. */
  readonly guide: Imatrix | undefined;
}

/** The file of types that are chosen already, in the order of the model's tensors. @throws LlqError as planQuantize */
export function planChoices(
  model: Model,
  recipe: Recipe,
  choices: readonly Choice[],
  options: ChoicesOptions,
): Plan {
  checkOptions(model, recipe, options);
  if (options.allowRequantize !== true) checkSources(model, choices);
  const weights = options.guide && weightsOf(model.tensors, choices, options.guide);
  checkGuided(recipe, model, choices, weights);
  const keys = [
    ...(options.imatrix === undefined ? [] : imatrixMetadata(options.imatrix)),
    ...(options.overrideKv ?? []),
  ];
  return planFile(model, recipe, choices, { weights, keys });
}

/** What the choice of types depends on. */
export function factsOf(
  {
    architecture,
    hparams,
    container,
  }: Pick<Model, "architecture" | "hparams"> & Partial<Pick<Model, "container">>,
  imatrix: Imatrix | undefined,
): ModelFacts {
  const { blockCount, expertCount, layers } = hparams;
  const { headCount, headCountKv } = layers[0]!;
  return {
    architecture: architecture.name,
    layers: blockCount,
    gqa: headCountKv === 0 ? 0 : Math.floor(headCount / headCountKv),
    experts: expertCount,
    imatrix: imatrix !== undefined,
    isGguf: container?.format === "gguf",
  };
}

/** Refuses options that would have no effect: a slip of the pen must not pass for an answer. */
function checkOptions(
  { tensors }: Model,
  recipe: Recipe,
  { overrides = [], tensorTypes = [] }: QuantizeOptions,
): void {
  const open = tensors.filter(isQuantizable);
  if (tensorTypes.length > 0) checkTensorTypes(open, recipe, tensorTypes);
  for (const override of overrides) {
    if (open.some((tensor) => matches(override, tensor))) continue;
    const fixed = tensors.some((tensor) => matches(override, tensor));
    const near = nearest(
      override.pattern,
      open.flatMap(({ name, role }) => [role, name]),
    );
    const roles = [...new Set(open.map(({ role }) => role))].join(", ");
    throw new LlqError(
      "usage",
      t`--tensor ${override.pattern} matches ${fixed ? t`only tensors that stay F32` : t`no tensor`}`,
      { hint: t`${near === undefined ? "" : t`did you mean ${near}? `}roles: ${roles}` },
    );
  }
}

function checkSources(model: Model, choices: readonly Choice[]): void {
  const again = model.tensors.find(
    (tensor, i) =>
      !FLOATS.has(storedType(tensor)) && !(tensor.dtype === choices[i]!.dtype && keepsStoredValues(tensor)),
  );
  if (again === undefined) return;
  const message = t`${model.path}: tensor ${again.name} is quantized already (${storedType(again)})`;
  throw new LlqError("usage", message, {
    hint: t`quantize the original model; --allow-requantize accepts the loss of doing it twice`,
  });
}

/** What models are published in before anyone quantizes them; 8-bit floats too, of late. */
export const FLOATS: ReadonlySet<string> = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"]);

/** Embedding and output do without, as in llama-quantize. */
function checkGuided(
  recipe: Recipe,
  { tensors }: Model,
  choices: readonly Choice[],
  weights: readonly (Weights | undefined)[] | undefined,
): void {
  const blind = tensors.findIndex(({ layer, dtype }, i) => {
    const chosen = choices[i]!.dtype;
    if (layer === undefined || weights?.[i] !== undefined || chosen === dtype) return false;
    return GUIDED.has(chosen) || (recipe.needsImatrix === true && chosen === recipe.base);
  });
  if (blind < 0) return;
  const { name } = tensors[blind]!;
  const what = recipe.needsImatrix === true ? recipe.name : t`${name} in ${choices[blind]!.dtype}`;
  const why = weights === undefined ? "" : t`, and the one given has no entry for ${name}`;
  throw new LlqError("usage", t`${what} needs an importance matrix${why}`, {
    hint: t`llq imatrix makes one, for --imatrix <file>; Q2_K and larger types do without`,
  });
}

interface FileExtras {
  readonly weights?: readonly (Weights | undefined)[] | undefined;
  readonly keys?: readonly KeyValue[];
  /** All of it, where it is not the model's with what the recipe changes. */
  readonly metadata?: Metadata;
}

function planFile(
  model: Model,
  recipe: Recipe,
  choices: readonly Choice[],
  { weights, keys = [], metadata: given }: FileExtras = {},
): Plan {
  const outputs = model.tensors.map(({ name, shape }, i) => ({ name, shape, dtype: choices[i]!.dtype }));
  const metadata =
    given ?? outputMetadata(model.metadata, recipe, [...provenance(model.container.files, recipe), ...keys]);
  const { header, offsets, byteLength: total } = ggufHeader(metadata, outputs);
  const tensors = model.tensors.map((tensor, i) => ({
    tensor,
    ...choices[i]!,
    weights: weights?.[i],
    offset: offsets[i]!,
    byteLength: byteLength(choices[i]!.dtype, tensor.shape),
  }));
  const unguided =
    weights === undefined ? [] : tensors.filter((plan) => takesWeights(plan) && plan.weights === undefined);
  return {
    recipe: recipe.name,
    files: model.container.files,
    metadata,
    header,
    tensors,
    unguided: unguided.map(({ tensor }) => tensor.name),
    remarks: model.remarks,
    byteLength: total,
  };
}
