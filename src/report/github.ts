import { visible } from "../escape.js";
import { describeVerdict, type Verdict } from "../eval/perplexity/gate.js";
import type { Report } from "./report.js";

/** GitHub shows ten annotations of a step and drops the others. */
const MAX_ANNOTATIONS = 10;

/** GitHub refuses the summary of a step from 1 MiB on. */
export const MAX_SUMMARY_BYTES = (1 << 20) - 1;

/** Workflow commands that mark broken bounds as errors and undecided ones as warnings, one a line. */
export function toAnnotations({ model, gate }: Report): string[] {
  return (gate?.verdicts ?? [])
    .filter(({ outcome }) => outcome !== "met")
    .slice(0, MAX_ANNOTATIONS)
    .map((verdict) => {
      const title = escapeProperty(`${visible(model)}: ${verdict.bound}`);
      return `::${level(verdict)} title=${title}::${escapeData(describeVerdict(verdict))}`;
    });
}

/** A workflow command that marks something as wrong. */
export function toError(title: string, message: string): string {
  return `::error title=${escapeProperty(visible(title))}::${escapeData(message)}`;
}

function level({ outcome, isWithin }: Verdict): "error" | "warning" {
  return outcome === "broken" || !isWithin ? "error" : "warning";
}

function escapeData(text: string): string {
  return text.replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replace(/:/g, "%3A").replace(/,/g, "%2C");
}
