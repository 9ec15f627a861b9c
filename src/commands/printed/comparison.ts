import { t } from "../../language/t.js";
import {
  type ComparisonReport,
  columns,
  comparisonDocument,
  comparisonExtent,
  comparisonMarkdown,
  comparisonRows,
  largestFirst,
} from "../../report/comparison.js";
import type { COMPARISON } from "../../report/documents/evaluate.js";
import { madeHere } from "../../report/html/made.js";
import { distinctNames } from "../../report/html/names.js";
import { comparisonPage } from "../../report/html/page.js";
import { formatSeconds, printJson, printLine, printTable } from "../../ui.js";
import { writeReport } from "../shared/report/deliver.js";

/** Prints the report and writes it wherever else it is wanted. */
export function deliverComparison(
  report: ComparisonReport,
  { json, html, markdown }: { readonly json?: boolean; readonly html?: string; readonly markdown?: string },
): void {
  const sorted = largestFirst(report);
  if (json) printJson<typeof COMPARISON>(comparisonDocument(sorted));
  else printReport(sorted);
  if (markdown !== undefined) writeReport(markdown, comparisonMarkdown(sorted));
  if (html !== undefined) writeReport(html, comparisonPage(sorted, madeHere()));
}

function printReport(report: ComparisonReport): void {
  const { base, candidates, seconds } = report.result;
  const names = distinctNames([base.path, ...candidates.map(({ path }) => path)]);
  const rows = comparisonRows(report).map(({ model, cells }, i) => [
    model === base ? t`${names[i]} (base)` : names[i]!,
    ...cells,
  ]);
  printTable([t`model`, ...columns().map(({ name }) => name)], rows);
  printLine(`${comparisonExtent(report)}; ${formatSeconds(seconds)}`);
}
