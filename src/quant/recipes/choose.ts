import { type DTypeName, dtype } from "../../../formats/dtype.js";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import { rowLength, type Tensor } from "../../tensor.js";
import type { Quote } from "../by-size/allocate.js";
import { CONDITIONS, type ModelFacts, type Situation } from "./conditions.js";
import { matches, type Override } from "./override.js";
import type { Recipe } from "./recipes.js";
import { tensorTypeOf } from "./tensor-types.js";

/** What a user may want otherwise than the recipe does. */
export interface TypeOptions {
  /** The first that matches a tensor decides its type, before everything else. */
  readonly overrides?: readonly Override[] | undefined;
  /**
   * The same as llama-quantize has it (--tensor-type): options of the embedding and the output win, and a tensor that one
   * of them names is not counted, which moves the places of those behind it.
   */
  readonly tensorTypes?: readonly Override[] | undefined;
  /** Type of the output matrix; of the token embedding where that serves as output. */
  readonly outputType?: DTypeName | undefined;
  readonly embeddingType?: DTypeName | undefined;
  /** The output matrix keeps the type it has. */
  readonly leaveOutput?: boolean | undefined;
  /** What is quantized already may be so again. */
  readonly allowRequantize?: boolean | undefined;
  /** The base type for every matrix, without the recipe's exceptions. */
  readonly pure?: boolean | undefined;
}

export interface Choice {
  readonly dtype: DTypeName;
  /** Why, for the dry run. */
  readonly reason: string;
  /** The rows did not divide into blocks of the wanted type. */
  readonly fellBack: boolean;
  /** What the type costs, where it was chosen by price. */
  readonly quote?: Quote;
}

type Described = Pick<Tensor, "name" | "role" | "layer" | "shape" | "dtype">;

/** Matrices that are small, and that ggml reads as F32. So it does vectors, norms and biases. */
const STAY_F32: ReadonlySet<Role> = new Set([
  "router",
  "router_shexp",
  "position_embd",
  "token_types",
  "ssm_conv",
  "ssm_conv_q",
  "ssm_conv_k",
  "ssm_conv_v",
  "shortconv_conv",
  "ssm_a",
  "ssm_d",
  "altup_predict_coef",
  "altup_correct_coef",
]);

/** Matrices that are not quantized, but may be in any float type. */
const STAY_FLOATS: ReadonlySet<Role> = new Set([
  "layer_input_model",
  "altup_proj",
  "altup_unembd_proj",
  "altup_router",
  "laurel_l",
  "laurel_r",
]);

/** Whether a tensor may be in another float type than F32. */
export function isConvertible({ role, shape }: Pick<Tensor, "role" | "shape">): boolean {
  return shape.length > 1 && !STAY_F32.has(role) && !role.endsWith("norm") && !role.endsWith("bias");
}

/** Whether the type of a tensor is a matter of choice at all. */
export function isQuantizable(tensor: Pick<Tensor, "role" | "shape">): boolean {
  return isConvertible(tensor) && !STAY_FLOATS.has(tensor.role);
}

/** The type each tensor is written in, in the order of `tensors`. */
export function chooseTypes(
  recipe: Recipe,
  tensors: readonly Described[],
  facts: ModelFacts,
  options: TypeOptions = {},
): Choice[] {
  const places = placesOf(tensors, facts, options);
  return tensors.map((tensor, i) => {
    if (!isQuantizable(tensor)) return stayFloat(tensor, facts, recipe);
    const [wanted, reason] = wantedType(recipe, tensor, { ...facts, ...places[i]! }, options);
    return fitRow(wanted, rowLength(tensor), reason);
  });
}

/** What is settled before any recipe is asked, and what is open. */
export interface Settled {
  /** The role whose rules apply: `output` for the embedding of a tied model. */
  readonly kind: Role;
  /** Undefined where the type is a matter of choice. */
  readonly choice: Choice | undefined;
}

/** For each tensor, the choice that its role or the user's options leave. */
export function settleTypes(
  tensors: readonly Described[],
  facts: ModelFacts,
  options: TypeOptions = {},
): Settled[] {
  const places = placesOf(tensors, facts, options);
  return tensors.map((tensor, i) => {
    const { kind } = places[i]!;
    if (!isQuantizable(tensor)) return { kind, choice: stayFloat(tensor, facts) };
    const wish = wishedType(tensor, kind, options);
    return { kind, choice: wish && fitRow(wish[0], rowLength(tensor), wish[1]) };
  });
}

const FLOATS: ReadonlySet<DTypeName> = new Set(["F32", "F16", "BF16"]);

/**
 * What is not quantized: where that is no matter of F32 alone, the type that a model is converted to; else that of the GGUF
 * which is quantized, as llama-quantize leaves it.
 */
function stayFloat(tensor: Described, { isGguf }: ModelFacts, recipe?: Recipe): Choice {
  const { role, dtype } = tensor;
  const own = (type: DTypeName) => ({ dtype: type, reason: t`${role} stays ${type}`, fellBack: false });
  if (!isConvertible(tensor)) return own("F32");
  if (recipe !== undefined && FLOATS.has(recipe.base)) {
    return { dtype: recipe.base, reason: recipe.name, fellBack: false };
  }
  return own(isGguf && FLOATS.has(dtype) ? dtype : "F32");
}

/** Roles that share another's rules, and are counted with it. */
const KIND: Partial<Record<Role, Role>> = {
  attn_qkv: "attn_v",
  attn_kv_b: "attn_v",
  ffn_down_exps: "ffn_down",
  ffn_down_shexp: "ffn_down",
  ffn_gate_exps: "ffn_gate",
  ffn_gate_shexp: "ffn_gate",
  ffn_up_exps: "ffn_up",
  ffn_up_shexp: "ffn_up",
  per_layer_token_embd: "token_embd",
  indexer_k: "attn_k",
};

const FEED_FORWARD: ReadonlySet<Role> = new Set(["ffn_gate", "ffn_up", "ffn_down"]);

interface Place extends Pick<Situation, "i" | "n" | "rank" | "rowLength" | "stacked"> {
  /** The role whose rules apply. */
  readonly kind: Role;
}

/** Where each tensor stands among its kind, layer by layer and then by name, as llama.cpp goes through them. */
function placesOf(
  tensors: readonly Described[],
  { layers, experts }: ModelFacts,
  { tensorTypes = [] }: TypeOptions,
): Place[] {
  const isTied = tensors.every(({ role }) => role !== "output");
  const kinds = tensors.map(({ role }) => {
    const kind = KIND[role] ?? role;
    return kind === "token_embd" && isTied ? "output" : kind;
  });
  const indices = tensors.map((_, index) => index);
  const order = indices.sort((a, b) => compare(tensors[a]!, tensors[b]!));
  const counts = new Map<Role, number>();
  const counted = new Map<Role, number>();
  const ranks: number[] = [];
  for (const index of order) {
    const kind = kinds[index]!;
    ranks[index] = counted.get(kind) ?? 0;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (tensorTypeOf(tensorTypes, tensors[index]!) === undefined) counted.set(kind, ranks[index] + 1);
  }
  return tensors.map(({ layer, shape }, index) => {
    const kind = kinds[index]!;
    const stacked = shape.length > 2;
    const rank = ranks[index]!;
    const place = { kind, stacked, rank, rowLength: shape.at(-1)! };
    if (!FEED_FORWARD.has(kind)) return { ...place, i: rank, n: counts.get(kind)! };
    return { ...place, i: experts > 1 ? layer! : rank, n: layers };
  });
}

function compare(a: Described, b: Described): number {
  return (a.layer ?? -1) - (b.layer ?? -1) || (a.name < b.name ? -1 : 1);
}

/** The type a tensor should get, and why. */
function wantedType(
  recipe: Recipe,
  tensor: Described,
  situation: Situation & Place,
  options: TypeOptions,
): [DTypeName, string] {
  const { kind } = situation;
  const wish = wishedType(tensor, kind, options);
  if (wish !== undefined) return wish;
  if (options.pure === true) return [recipe.base, `${recipe.name}, pure`];
  const rule = recipe.rules.find(
    ([role, , ...when]) =>
      (role === kind || role === "*") && when.every((name) => CONDITIONS[name](situation)),
  );
  if (rule === undefined) return [recipe.base, recipe.name];
  const [, dtype, ...when] = rule;
  return [dtype, [`${recipe.name}: ${kind}`, ...when].join(", ")];
}

/** The type that the user wants of this tensor, whatever the recipe. */
function wishedType(
  tensor: Described,
  kind: Role,
  { overrides = [], tensorTypes = [], outputType, embeddingType, leaveOutput, allowRequantize }: TypeOptions,
): [DTypeName, string] | undefined {
  const override = overrides.find((each) => matches(each, tensor));
  if (override !== undefined) return [override.dtype, t`--tensor ${override.pattern}`];
  const expressed = tensorTypeOf(tensorTypes, tensor);
  // Of the tensors that an option is of, only the one it is named after is not left to the expressions.
  if (embeddingType !== undefined && (KIND[tensor.role] ?? tensor.role) === "token_embd") {
    const isNamed = tensor.role === "token_embd" || expressed === undefined;
    if (isNamed) return [embeddingType, "--embedding-type"];
  }
  if (kind === "output" && leaveOutput === true) return [tensor.dtype, "--leave-output"];
  const isOutput = tensor.role === "output" || expressed === undefined;
  if (kind === "output" && outputType !== undefined && isOutput) return [outputType, "--output-type"];
  if (expressed !== undefined) return [expressed.dtype, t`--tensor-type ${expressed.pattern}`];
  // Experts that were trained in it are published in it; any other type would only lose.
  const isPublished = tensor.dtype === "MXFP4" && tensor.role.endsWith("_exps");
  if (isPublished && allowRequantize !== true) return ["MXFP4", t`as it is published`];
  return undefined;
}

/** The type itself, or the first of its fallbacks whose blocks divide a row of that length. */
export function fitRow(wanted: DTypeName, length: number, reason: string): Choice {
  let name = wanted;
  while (length % dtype(name).blockSize !== 0) name = dtype(name).fallback as DTypeName;
  if (name === wanted) return { dtype: name, reason, fellBack: false };
  const blocks = t`rows of ${length} are no whole number of ${wanted} blocks of ${dtype(wanted).blockSize}`;
  return { dtype: name, reason: `${reason}; ${blocks}`, fellBack: true };
}
