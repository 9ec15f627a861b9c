import type { ForwardOptions } from "../../net/session.js";
import type { Tuning } from "./tuning.js";

/**
 * How much is done for it: `plain` looks at the model's own activations, `full` at those of the quantized model too; `max` looks
 * through the codes once they are all there, too.
 */
export const EFFORTS = ["plain", "full", "max"] as const;
export type Effort = (typeof EFFORTS)[number];

export interface CalibrateOptions extends Omit<ForwardOptions, "activations" | "onProgress"> {
  readonly effort: Effort;
  /** The file for what does not stay in memory, and for what is done. */
  readonly scratch: string;
  /** Go on from what an earlier run left there. */
  readonly resume?: boolean | undefined;
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Take the importances of the plan to choose scales by, and not those of the text. */
  readonly keepImportances?: boolean | undefined;
  /** Settings to take in place of those that the number of tokens suggests. */
  readonly tuning?: Partial<Tuning> | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}
