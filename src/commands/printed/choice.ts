import type { ChoiceResult } from "../../eval/choice/choice.js";
import type { FolderResult } from "../../eval/choice/folder.js";
import { interval, percent } from "../../report/shares.js";
import { formatSeconds, printLine } from "../../ui.js";

/** What was found, for people. */
export function printFolder(about: About, result: FolderResult): void {
  const { accuracy, accuracyNormalized, macro, macroNormalized, subjects, leftOut, seconds } = result;
  printLine(about.model);
  const row = (name: string, value: string) => printLine(`  ${name.padEnd(36)}  ${value}`);
  for (const { subject, result: own } of subjects) row(subject, interval(own.accuracy));
  row("all questions", interval(accuracy));
  row("mean of the subjects", percent(macro));
  if (accuracyNormalized !== undefined) {
    row("by length of ending, all questions", interval(accuracyNormalized));
    row("by length of ending, mean", percent(macroNormalized!));
  }
  if (leftOut.length > 0) printLine(`left out, as no question fits the context: ${leftOut.join(", ")}`);
  const all = subjects.map(({ result: own }) => own);
  printLine(`${extent(`${about.format} on ${subjects.length} subjects`, all)}; ${formatSeconds(seconds)}`);
}

/** The same of one file. */
export function printChoice(about: About, result: ChoiceResult): void {
  const { accuracy, accuracyNormalized, chance, truthfulness, perplexity, seconds } = result;
  printLine(about.model);
  printLine(`  accuracy             ${interval(accuracy)}`);
  if (accuracyNormalized !== undefined) printLine(`  by length of ending  ${interval(accuracyNormalized)}`);
  if (truthfulness !== undefined) printLine(`  share of the truth   ${percent(truthfulness)}`);
  if (perplexity !== undefined) printLine(`  perplexity           ${perplexity.toFixed(4)}`);
  if (chance > 0) printLine(`  chance               ${percent(chance)}`);
  printLine(`${extent(about.format, [result])}; ${formatSeconds(seconds)}`);
}

/** What was asked. */
export interface About {
  readonly model: string;
  readonly format: string;
}

/** How much was asked, and how. */
function extent(format: string, results: readonly ChoiceResult[]): string {
  const sum = (of: (result: ChoiceResult) => number) => results.reduce((all, each) => all + of(each), 0);
  const [skipped, cut] = [sum((each) => each.skipped), sum((each) => each.cut)];
  const { protocol, shots } = results[0]!;
  const left = skipped > 0 ? `, ${skipped} left out (longer than the context)` : "";
  const short = cut > 0 ? `, ${cut} without their beginning (longer than the context)` : "";
  const by = protocol === "llq" ? "" : ` by the protocol of ${protocol}`;
  return `${sum(({ questions }) => questions.length)} questions of ${format}${by}, ${shots} shots${left}${short}`;
}
