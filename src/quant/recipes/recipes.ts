import { dtype, findDType } from "../../../formats/dtype.js";
import { LlqError, nearest } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { CODEBOOK_RECIPES } from "./codebooks.js";
import { ATTN_OUTPUT_OF_EIGHT_EXPERTS, COMMON, type Recipe, type Rule } from "./rules.js";

export type { Recipe };

const IQ4_RULES: readonly Rule[] = [
  ...COMMON,
  ATTN_OUTPUT_OF_EIGHT_EXPERTS,
  ["attn_v", "Q5_K", "gqa4"],
  ["ffn_down", "Q5_K", "firstEighth", "noImatrix"],
];

const TERNARY_RULES: readonly Rule[] = [...COMMON, ["token_embd", "Q4_K"]];

/**
 * The choices of llama.cpp (llama_tensor_get_type in llama-quant.cpp, 2026); test/golden/plans holds its
 * answers for real models.
 */
// biome-ignore format: one line a rule
export const RECIPES: readonly Recipe[] = [
  { name: "F32",  fileType: 0,  base: "F32",  rules: [] },
  { name: "F16",  fileType: 1,  base: "F16",  rules: [] },
  { name: "BF16", fileType: 32, base: "BF16", rules: [] },
  { name: "Q8_0", fileType: 7,  base: "Q8_0", rules: [] },
  {
    name: "Q4_0", fileType: 2, base: "Q4_0",
    rules: [
      ...COMMON,
      ["ffn_down", "Q4_1", "firstEighth", "imatrix"],
    ],
  },
  { name: "Q4_1", fileType: 3, base: "Q4_1", rules: COMMON },
  {
    name: "Q5_0", fileType: 8, base: "Q5_0",
    rules: [
      ...COMMON,
      ["ffn_down", "Q5_1", "firstEighth", "imatrix"],
    ],
  },
  { name: "Q5_1", fileType: 9, base: "Q5_1", rules: COMMON },
  {
    name: "Q2_K", fileType: 10, base: "Q2_K",
    rules: [
      ...COMMON,
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_v", "Q5_K", "is70B"],
      ["attn_v", "Q4_K", "gqa4"],
      ["attn_v", "Q3_K"],
      ["attn_output", "Q3_K", "notFalcon"],
      ["ffn_down", "Q3_K"],
    ],
  },
  {
    name: "Q2_K_S", fileType: 21, base: "Q2_K", needsImatrix: true,
    rules: [
      ...COMMON,
      ["attn_v", "Q5_K", "is70B", "gqa4"],
      ["attn_v", "Q4_K", "gqa4"],
      ["ffn_down", "Q4_K", "firstEighth"],
    ],
  },
  {
    name: "Q3_K_S", fileType: 11, base: "Q3_K",
    rules: [
      ...COMMON,
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_v", "Q5_K", "is70B"],
    ],
  },
  {
    name: "Q3_K_M", fileType: 12, base: "Q3_K",
    rules: [
      ...COMMON,
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_v", "Q5_K", "is70B"],
      ["attn_v", "Q5_K", "firstTwo"],
      ["attn_v", "Q4_K"],
      ["attn_output", "Q4_K", "notFalcon"],
      ["ffn_down", "Q5_K", "firstSixteenth"],
      ["ffn_down", "Q4_K", "useMoreBits"],
      ["ffn_down", "Q4_K", "notFalcon"],
    ],
  },
  {
    name: "Q3_K_L", fileType: 13, base: "Q3_K",
    rules: [
      ...COMMON,
      ["attn_v", "Q5_K"],
      ["attn_output", "Q4_K", "falcon"],
      ["attn_output", "Q3_K", "eightExperts"],
      ["attn_output", "Q5_K"],
      ["ffn_down", "Q4_K", "falcon"],
      ["ffn_down", "Q5_K"],
    ],
  },
  {
    name: "Q4_K_S", fileType: 14, base: "Q4_K",
    rules: [
      ...COMMON,
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_v", "Q5_K", "is70B"],
      ["attn_v", "Q5_K", "firstFour"],
      ["ffn_down", "Q5_K", "firstEighth", "notFalcon"],
    ],
  },
  {
    name: "Q4_K_M", fileType: 15, base: "Q4_K",
    rules: [
      ...COMMON,
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_v", "Q6_K", "useMoreBits"],
      ["attn_v", "Q5_K", "is70B"],
      ["ffn_down", "Q6_K", "firstSixteenth"],
      ["ffn_down", "Q5_K", "useMoreBits", "falcon"],
      ["ffn_down", "Q6_K", "useMoreBits"],
    ],
  },
  { name: "Q5_K_S", fileType: 16, base: "Q5_K", rules: COMMON },
  {
    name: "Q5_K_M", fileType: 17, base: "Q5_K",
    rules: [
      ...COMMON,
      ["attn_v", "Q6_K", "useMoreBits"],
      ["ffn_down", "Q6_K", "useMoreBits"],
    ],
  },
  { name: "Q6_K",   fileType: 18, base: "Q6_K",   rules: COMMON },
  { name: "IQ4_NL", fileType: 25, base: "IQ4_NL", rules: IQ4_RULES },
  { name: "IQ4_XS", fileType: 30, base: "IQ4_XS", rules: IQ4_RULES },
  {
    name: "MXFP4_MOE", fileType: 38, base: "MXFP4", meantFor: "experts",
    rules: [["*", "Q8_0", "notStacked"]],
  },
  ...CODEBOOK_RECIPES,
  { name: "NVFP4",  fileType: 39, base: "NVFP4",  rules: COMMON },
  { name: "Q1_0",   fileType: 40, base: "Q1_0",   meantFor: "ternary", rules: COMMON },
  { name: "Q2_0",   fileType: 41, base: "Q2_0",   meantFor: "ternary", rules: TERNARY_RULES },
  { name: "TQ1_0", fileType: 36, base: "TQ1_0", meantFor: "ternary", rules: TERNARY_RULES },
  { name: "TQ2_0", fileType: 37, base: "TQ2_0", meantFor: "ternary", rules: TERNARY_RULES },
];

/** Names of types that stand for a mix, as in llama-quantize. */
const ALIASES: Readonly<Record<string, string>> = { Q3_K: "Q3_K_M", Q4_K: "Q4_K_M", Q5_K: "Q5_K_M" };

/** What `--bits` stands for. */
export const BITS: Readonly<Record<string, string>> = {
  "1": "IQ1_M",
  "2": "Q2_K",
  "3": "Q3_K_M",
  "4": "Q4_K_M",
  "5": "Q5_K_M",
  "6": "Q6_K",
  "8": "Q8_0",
};

/** The same with an importance matrix, where another mix is smaller and diverges less for its size then (README). */
export const GUIDED_BITS: Readonly<Record<string, string>> = { ...BITS, "2": "IQ2_M", "3": "IQ3_M" };

/**
 * The recipe of that name, in any case and with or without underscores.
 * @throws LlqError `usage` naming the recipes, and the likeliest where there is no such type at all
 */
export function findRecipe(name: string): Recipe {
  const found = recipeNamed(name);
  if (found !== undefined) return found;
  const names = RECIPES.map((recipe) => recipe.name);
  const known = t`known: ${names.join(", ")}`;
  const stored = findDType(name);
  if (stored !== undefined && dtype(stored).kernels === "read") {
    throw new LlqError("usage", t`type ${name} can be read but not written`, { hint: known });
  }
  const near = likeliest(name) ?? nearest(name, names);
  throw new LlqError("usage", t`unknown type ${name}`, {
    hint: `${near === undefined ? "" : t`did you mean ${near}? `}${known}`,
  });
}

/** The recipe of that name, if there is one. */
export function recipeNamed(name: string): Recipe | undefined {
  const wanted = compact(name);
  const alias = Object.keys(ALIASES).find((each) => compact(each) === wanted);
  return RECIPES.find((recipe) => recipe.name === ALIASES[alias ?? ""] || compact(recipe.name) === wanted);
}

/** What people leave out or write otherwise: `q4-k-m`, `Q4KM`. */
function compact(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, "");
}

/** What is meant by `q4`, `4bit`, `int4` or `fp16`. */
function likeliest(name: string): string | undefined {
  const [, float] = /^(?:fp|float)_?(16|32)$/i.exec(name) ?? [];
  if (float !== undefined) return `F${float}`;
  if (/^(?:fp?|float)_?8(?:_?e\dm\d\w*)?$/i.test(name)) return "Q8_0";
  const [, mix] =
    /^(?:UD-)?(\w+?)(?:_X*[SML])?$/i.exec(name.startsWith("UD-") || /_X+L$/i.test(name) ? name : "") ?? [];
  const own = mix && (recipeNamed(`${mix}_M`) ?? recipeNamed(mix));
  if (own) return own.name;
  const [, bits] = /^(?:i?q|int)?_?(\d)(?:[-_ ]?bits?)?$/i.exec(name) ?? [];
  return bits === undefined || !Object.hasOwn(BITS, bits) ? undefined : t`${BITS[bits]} (--bits ${bits})`;
}
