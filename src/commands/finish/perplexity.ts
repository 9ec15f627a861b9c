import { LlqError } from "../../../formats/errors.js";
import { finishPerplexity } from "../../eval/parts/perplexity.js";
import { needsBase } from "../../eval/perplexity/gate.js";
import { t } from "../../language/t.js";
import { gateOf, passGate } from "../shared/report/bounds.js";
import { deliver } from "../shared/report/deliver.js";
import type { Kind } from "./types.js";

/** What eval-ppl says. The parts stay, so that other bounds can be asked for. */
export const perplexity: Kind = {
  takes: ["maxPpl", "maxPplRatio", "maxKld", "minTop1", "strict", "junit", "markdown"],
  finish: (output, records, options) => {
    const found = finishPerplexity(records);
    if (needsBase(options) && found.base === undefined) {
      throw new LlqError("usage", t`a bound compares with a base, but the parts of ${output} have none`);
    }
    const report = { ...found, gate: gateOf(options, found.result.chunkMeans) };
    deliver(report, options);
    if (report.gate !== undefined) passGate(report.model, report.gate);
  },
};
