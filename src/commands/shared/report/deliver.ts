import { describeVerdict } from "../../../eval/perplexity/gate.js";
import { t } from "../../../language/t.js";
import { padText } from "../../../language/width.js";
import type { PERPLEXITY } from "../../../report/documents/evaluate.js";
import { addToSummary, isGithub, markTold, toAnnotations } from "../../../report/github.js";
import { toJunit } from "../../../report/junit.js";
import { toMarkdown } from "../../../report/markdown.js";
import { extent, measures, type Report, toDocument } from "../../../report/report.js";
import { type Claim, claimOutputs } from "../../../run/write/claim.js";
import { writeOutput } from "../../../run/write/output.js";
import { formatSeconds, printJson, printLine } from "../../../ui.js";

export interface DeliverOptions {
  readonly json?: boolean;
  readonly junit?: string;
  readonly markdown?: string;
}

/** Prints the report and writes it wherever else it is wanted. */
export function deliver(report: Report, { json, junit, markdown }: DeliverOptions): void {
  if (json) printJson<typeof PERPLEXITY>(toDocument(report));
  else printReport(report);
  if (junit !== undefined) writeReport(junit, toJunit(report));
  if (markdown !== undefined) writeReport(markdown, toMarkdown(report));
  tellGithub(toMarkdown(report), toAnnotations(report));
}

/**
 * In GitHub Actions, adds to the job's summary and annotates; workflow commands are read from stderr too. Behind this a
 * broken bound is told: the error that ends the command says nothing new, and must not replace the report.
 */
export function tellGithub(summary: string, annotations: readonly string[]): void {
  markTold();
  if (!isGithub()) return;
  addToSummary(summary);
  for (const annotation of annotations) process.stderr.write(`${annotation}\n`);
}

/**
 * Takes the places of reports before any work, and for as long as it lasts.
 * @throws LlqError as claimOutputs, but a report replaces the one before it
 */
export async function withReports<T>(
  reports: readonly (string | undefined)[],
  work: () => Promise<T>,
): Promise<T> {
  const paths = reports.flatMap((report) => (report === undefined ? [] : [report]));
  const claimed: Claim[] = [];
  try {
    for (const report of paths) claimed.push(claimOutputs([report], { force: true }));
    return await work();
  } finally {
    for (const claim of claimed) claim.release();
  }
}

/** A report replaces the one before it, as a whole or not at all. */
export function writeReport(path: string, text: string): void {
  writeOutput(path, Buffer.from(text), true);
}

function printReport(report: Report): void {
  const { model, gate, result } = report;
  printLine(model);
  for (const [name, value] of measures(report)) printLine(`  ${padText(name, 26)}  ${value}`);
  for (const verdict of gate?.verdicts ?? []) printLine(`  ${describeVerdict(verdict)}`);
  const speed = t`${formatSeconds(result.seconds)}, ${result.tokensPerSecond.toFixed(0)} tokens/s`;
  printLine(`${extent(report)}; ${speed}`);
}
