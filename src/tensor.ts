import type { TensorSource } from "../formats/container.js";
import type { DTypeName } from "../formats/dtype.js";

/**
 * What a tensor is for. Recipes, the planner and the evaluator ask for the role; none of them looks at names.
 * `norm`, `bias` and `rope_freqs` are small and stay F32; the rest are a decoder's matrices as GGUF names them.
 */
export type Role =
  | "token_embd"
  | "output"
  | "norm"
  | "bias"
  | "rope_freqs"
  | "attn_q"
  | "attn_k"
  | "attn_v"
  | "attn_output"
  | "ffn_gate"
  | "ffn_up"
  | "ffn_down";

/**
 * How a tensor differs from the rows stored for it. Plain data, so that a plan can be sent to a thread.
 * `permuteRope`: rows of each of `heads` heads go from halves (Hugging Face) to neighbours (GGUF "llama").
 */
export type Transform = { readonly kind: "permuteRope"; readonly heads: number };

/** A tensor of the model as GGUF has it: which stored rows, changed how. Plain data. */
export interface Tensor {
  /** Its GGUF name, such as `blk.3.attn_q.weight`. */
  readonly name: string;
  readonly role: Role;
  /** The block it belongs to; undefined for the embeddings, the last norm and the output. */
  readonly layer: number | undefined;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** The type it is stored in. */
  readonly dtype: DTypeName;
  /** Where it is stored; undefined for a computed tensor. */
  readonly source: TensorSource | undefined;
  readonly transform: Transform | undefined;
  /** A small tensor that no file holds, such as RoPE divisors; F32. */
  readonly values: readonly number[] | undefined;
}

/** Length of the innermost dimension. */
export function rowLength(tensor: { readonly shape: readonly number[] }): number {
  return tensor.shape.at(-1) ?? 1;
}

/** Number of rows. */
export function rowCount(tensor: { readonly shape: readonly number[] }): number {
  return tensor.shape.slice(0, -1).reduce((product, length) => product * length, 1);
}

/**
 * The stored row that becomes row `row` of a tensor of `rows` rows.
 * `permuteRope`: within a head of d rows, stored j and j + d/2 become neighbours 2j and 2j + 1.
 */
export function storedRow(transform: Transform | undefined, rows: number, row: number): number {
  if (transform === undefined) return row;
  const headRows = rows / transform.heads;
  const j = row % headRows;
  return row - j + (j >> 1) + (j & 1) * (headRows / 2);
}
