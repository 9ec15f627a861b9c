import type { DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { Tensor } from "../../tensor.js";
import type { Form } from "./int8.js";

/** Rows of a matrix: the first, and how many. */
export type Rows = readonly [first: number, rows: number];

/** Rows of a matrix that lie together: shares begin at a multiple. */
export const ROW_PANEL = 8;

/** A thread's share of the rows of a matrix: whole panels. */
export function shareOfRows(weights: Pick<Weights, "share">, rows: number): Rows {
  const [first, panels] = weights.share(Math.ceil(rows / ROW_PANEL));
  return [first * ROW_PANEL, Math.max(0, Math.min(rows, (first + panels) * ROW_PANEL) - first * ROW_PANEL)];
}

/** Some columns of y [tokens][width]: those that this thread has computed. */
export interface Part {
  readonly y: number;
  readonly width: number;
  readonly first: number;
  readonly count: number;
}

/** Who a thread is among those that work on the same tokens together, each on its share of every matrix's rows. */
export interface Membership {
  readonly threads: number;
  /** This thread's share of `units` things: heads, for one. */
  share(units: number): Rows;
  /** Gives every thread what the others have computed. Until then only this thread's part is there. */
  exchange(kernels: Kernels, tokens: number, parts: readonly Part[]): void;
}

/** Where a model's weights are, from the file as they are needed (streamed.ts) or in memory (resident.ts), and whose. */
export interface Weights extends Membership {
  /** The type whose blocks a matrix is multiplied as; undefined where its values are not those that are stored. */
  typeOf(weight: Tensor): DTypeName | undefined;
  /** This thread's rows of a matrix, cut into slabs for that many tokens; first rows are multiples of 8. */
  slabs(weight: Tensor, tokens: number): readonly Rows[];
  /**
   * y[tokens][rows] = x · W[first to first + rows]ᵀ, the tokens of y `stride` bytes apart.
   * @param x packed for the form
   */
  multiply(
    kernels: Kernels,
    weight: Tensor,
    form: Form | "f32",
    x: number,
    rows: Rows,
    y: number,
    tokens: number,
    stride: number,
  ): void;
  /** A vector of the model as f32; what memory it takes is the caller's to give back. */
  vector(kernels: Kernels, tensor: Tensor): number;
  /** A small matrix as f32, columns first. */
  transposed(kernels: Kernels, tensor: Tensor): number;
  /** A row of a table, as f32 at `dst`. Tables are read row by row, as tokens ask for them. */
  lookUp(kernels: Kernels, table: Tensor, row: number, dst: number): void;
}
