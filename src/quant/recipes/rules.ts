import type { DTypeName } from "../../../formats/dtype.js";
import type { Role } from "../../role.js";
import type { Condition } from "./conditions.js";

/** The type that tensors of a role (`*`: of any) get when all of the conditions hold. */
export type Rule = readonly [role: Role | "*", dtype: DTypeName, ...when: Condition[]];

/** What ggml calls an ftype: a base type for matrices, and the exceptions, of which the first that fits wins. */
export interface Recipe {
  readonly name: string;
  /** general.file_type */
  readonly fileType: number;
  readonly base: DTypeName;
  readonly rules: readonly Rule[];
  /** Without an importance matrix the result would be useless. */
  readonly needsImatrix?: true;
  /** Of use for such models only: of experts, or trained to have ternary weights. */
  readonly meantFor?: "experts" | "ternary";
}

/** Errors in the output reach every logit. */
export const OUTPUT: readonly Rule[] = [
  ["output", "Q8_0", "falcon"],
  ["output", "Q6_K"],
];

/** Next to eight experts, attention weighs little. */
export const ATTN_OF_EIGHT_EXPERTS: readonly Rule[] = [
  ["attn_v", "Q8_0", "eightExperts"],
  ["attn_k", "Q8_0", "eightExperts"],
];
export const ATTN_OUTPUT_OF_EIGHT_EXPERTS: Rule = ["attn_output", "Q5_K", "eightExperts"];

export const COMMON: readonly Rule[] = [...OUTPUT, ...ATTN_OF_EIGHT_EXPERTS];
