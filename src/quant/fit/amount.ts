import type { Outline } from "../../outline.js";

/** What is asked of a model; a Model has it too. */
export type Described = Pick<Outline, "architecture" | "hparams" | "tensors">;

/** A number of bytes, and how it came about. */
export interface Amount {
  readonly bytes: number;
  /** The formula with this model's numbers, such as `32 layers × ...`. */
  readonly formula: string;
}
