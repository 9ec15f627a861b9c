import { finishVerify } from "../../run/parts/verify.js";
import { printVerdicts } from "../printed/verdicts.js";
import type { Kind } from "./types.js";

/** What verify says. The parts stay. */
export const verified: Kind = {
  takes: [],
  finish: (_, records, { json }) => {
    const { file, verdicts, isCalibrated } = finishVerify(records);
    printVerdicts(file, verdicts, { json, isBoundOnly: isCalibrated });
  },
};
