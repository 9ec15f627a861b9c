import type { ChoiceResult } from "../../eval/choice/choice.js";
import type { FolderResult } from "../../eval/choice/folder.js";
import { t } from "../../language/t.js";
import { padText } from "../../language/width.js";
import { interval, percent } from "../../report/shares.js";
import { formatSeconds, printLine } from "../../ui.js";

/** What was found, for people. */
export function printFolder(about: About, result: FolderResult): void {
  const { accuracy, accuracyNormalized, macro, macroNormalized, subjects, categories, leftOut, seconds } =
    result;
  printLine(about.model);
  const row = (name: string, value: string) => printLine(`  ${padText(name, 36)}  ${value}`);
  for (const { subject, result: own } of subjects) row(subject, interval(own.accuracy));
  for (const { category, subjects: count, macro: mean, ...own } of categories) {
    row(t`${category}, ${count} subjects`, t`${interval(own.accuracy)}, mean ${percent(mean)}`);
  }
  row(t`all questions`, interval(accuracy));
  row(t`mean of the subjects`, percent(macro));
  if (accuracyNormalized !== undefined) {
    row(t`by length of ending, all questions`, interval(accuracyNormalized));
    row(t`by length of ending, mean`, percent(macroNormalized!));
  }
  if (leftOut.length > 0) printLine(t`left out, as no question fits the context: ${leftOut.join(", ")}`);
  const all = subjects.map(({ result: own }) => own);
  printLine(`${extent(t`${about.format} on ${subjects.length} subjects`, all)}; ${formatSeconds(seconds)}`);
}

/** The same of one file. */
export function printChoice(about: About, result: ChoiceResult): void {
  const { accuracy, accuracyNormalized, chance, truthfulness, perplexity, seconds } = result;
  printLine(about.model);
  const row = (name: string, value: string) => printLine(`  ${padText(name, 19)}  ${value}`);
  row(t`accuracy`, interval(accuracy));
  if (accuracyNormalized !== undefined) row(t`by length of ending`, interval(accuracyNormalized));
  if (truthfulness !== undefined) row(t`share of the truth`, percent(truthfulness));
  if (perplexity !== undefined) row(t`perplexity`, perplexity.toFixed(4));
  if (chance > 0) row(t`chance`, percent(chance));
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
  const left = skipped > 0 ? t`, ${skipped} left out (longer than the context)` : "";
  const short = cut > 0 ? t`, ${cut} without their beginning (longer than the context)` : "";
  const by = protocol === "llq" ? "" : t` by the protocol of ${protocol}`;
  return t`${sum(({ questions }) => questions.length)} questions of ${format}${by}, ${shots} shots${left}${short}`;
}
