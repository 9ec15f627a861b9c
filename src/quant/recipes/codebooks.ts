import type { DTypeName } from "../../../formats/dtype.js";
import {
  ATTN_OF_EIGHT_EXPERTS,
  ATTN_OUTPUT_OF_EIGHT_EXPERTS,
  COMMON,
  type Recipe,
  type Rule,
} from "./rules.js";

/** Below 2.7 bits: `more` is the type of what must not suffer, `embedding` that of the embedding. */
function low(more: DTypeName, embedding: DTypeName, attnOutput: DTypeName | undefined): readonly Rule[] {
  return [
    ["output", "Q8_0", "falcon"],
    ["output", "Q8_0", "noSuperBlocks"],
    ["output", "Q5_K"],
    ["token_embd", embedding],
    ["attn_v", "Q4_K", "gqa4"],
    ["attn_v", "Q4_K", "fourExperts"],
    ["attn_v", more],
    ["attn_k", "Q4_K", "eightExperts"],
    ["ffn_down", more, "firstEighthOfAll"],
    ATTN_OUTPUT_OF_EIGHT_EXPERTS,
    ...(attnOutput === undefined ? [] : [["attn_output", attnOutput] as const]),
  ];
}

/** The choices of llama.cpp for the mixes whose base has a codebook: IQ1, IQ2 and IQ3. */
// biome-ignore format: one line a rule
export const CODEBOOK_RECIPES: readonly Recipe[] = [
  { name: "IQ1_S",   fileType: 24, base: "IQ1_S",   needsImatrix: true, rules: low("Q2_K", "Q2_K", "IQ2_XXS") },
  { name: "IQ1_M",   fileType: 31, base: "IQ1_M",   needsImatrix: true, rules: low("Q2_K", "Q2_K", "IQ2_XXS") },
  { name: "IQ2_XXS", fileType: 19, base: "IQ2_XXS", needsImatrix: true, rules: low("Q2_K", "Q2_K", undefined) },
  { name: "IQ2_XS",  fileType: 20, base: "IQ2_XS",  needsImatrix: true, rules: low("Q2_K", "Q2_K", undefined) },
  { name: "IQ2_S",   fileType: 28, base: "IQ2_XS",  needsImatrix: true, rules: low("IQ3_S", "IQ3_S", "IQ3_S") },
  { name: "IQ2_M",   fileType: 29, base: "IQ2_S",   needsImatrix: true, rules: low("IQ3_S", "IQ3_S", "IQ3_S") },
  {
    name: "IQ3_XXS", fileType: 23, base: "IQ3_XXS", needsImatrix: true,
    rules: [
      ["output", "Q8_0", "falcon"],
      ["output", "Q8_0", "noSuperBlocks"],
      ["output", "Q5_K"],
      ["token_embd", "IQ3_S"],
      ...ATTN_OF_EIGHT_EXPERTS,
      ["attn_v", "Q5_K", "is70B", "gqa4"],
      ["attn_v", "Q4_K", "gqa4"],
      ["attn_v", "IQ3_S", "noImatrix"],
      ["attn_k", "IQ2_S"],
      ["attn_q", "IQ2_S"],
      ["ffn_down", "Q4_K", "noImatrix", "firstEighth"],
      ["ffn_down", "Q3_K", "noImatrix"],
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_output", "IQ3_S", "notFalcon"],
    ],
  },
  {
    name: "IQ3_XS", fileType: 22, base: "IQ3_S", needsImatrix: true,
    rules: [
      ...COMMON,
      ["attn_v", "Q5_K", "is70B", "gqa4"],
      ["attn_v", "Q4_K", "gqa4"],
      ["attn_k", "IQ3_XXS"],
      ["attn_q", "IQ3_XXS"],
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["ffn_gate", "IQ3_XXS", "midThreeQuarters"],
      ["ffn_up", "IQ3_XXS", "midThreeQuarters"],
    ],
  },
  {
    name: "IQ3_S", fileType: 26, base: "IQ3_S",
    rules: [
      ...COMMON,
      ["attn_v", "Q5_K", "is70B", "gqa4"],
      ["attn_v", "Q4_K", "gqa4"],
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
    ],
  },
  {
    name: "IQ3_M", fileType: 27, base: "IQ3_S",
    rules: [
      ...COMMON,
      ["attn_v", "Q5_K", "is70B"],
      ["attn_v", "Q4_K"],
      ["ffn_down", "Q4_K", "firstEighth"],
      ["ffn_down", "Q4_K", "eightExperts", "useMoreBits"],
      ATTN_OUTPUT_OF_EIGHT_EXPERTS,
      ["attn_output", "Q4_K", "notFalcon"],
    ],
  },
];
