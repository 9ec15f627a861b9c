import { finishCompare } from "../../eval/parts/compare.js";
import { deliverComparison } from "../printed/comparison.js";
import type { Kind } from "./types.js";

/** What compare says. The parts stay. */
export const comparison: Kind = {
  takes: ["markdown", "html"],
  finish: (_, records, options) => deliverComparison(finishCompare(records), options),
};
