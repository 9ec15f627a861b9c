import { appendFileSync, writeFileSync } from "node:fs";
import { describeVerdict } from "../../eval/perplexity/gate.js";
import { MAX_SUMMARY_BYTES, toAnnotations } from "../../report/github.js";
import { toJunit } from "../../report/junit.js";
import { toMarkdown } from "../../report/markdown.js";
import { extent, measures, type Report, toDocument } from "../../report/report.js";
import { writeError } from "../../run/write/encode.js";
import { refuseInput } from "../../run/write/output.js";
import { formatSeconds, printJson } from "../../ui.js";

export interface DeliverOptions {
  readonly json?: boolean;
  readonly junit?: string;
  readonly markdown?: string;
}

/** Prints the report and writes it wherever else it is wanted. */
export function deliver(report: Report, { json, junit, markdown }: DeliverOptions): void {
  if (json) printJson(toDocument(report));
  else printReport(report);
  if (junit !== undefined) writeReport(junit, toJunit(report));
  if (markdown !== undefined) writeReport(markdown, toMarkdown(report));
  if (process.env["GITHUB_ACTIONS"] === "true") tellGithub(report, process.env["GITHUB_STEP_SUMMARY"]);
}

/** Adds to the job's summary and annotates; workflow commands are read from stderr too. */
function tellGithub(report: Report, summaryFile: string | undefined): void {
  const summary = toMarkdown(report);
  if (summaryFile && Buffer.byteLength(summary) <= MAX_SUMMARY_BYTES) {
    write(summaryFile, () => appendFileSync(summaryFile, summary));
  }
  for (const annotation of toAnnotations(report)) process.stderr.write(`${annotation}\n`);
}

/**
 * Refuses, before any work, reports that would replace an input.
 * @throws LlqError `usage`
 */
export function checkReports(reports: readonly (string | undefined)[], inputs: readonly string[]): void {
  for (const report of reports) if (report !== undefined) refuseInput(report, inputs);
}

/** A report replaces the one before it. */
export function writeReport(path: string, text: string): void {
  write(path, () => writeFileSync(path, text));
}

function write(path: string, action: () => void): void {
  try {
    action();
  } catch (cause) {
    throw writeError(path, cause);
  }
}

function printReport(report: Report): void {
  const { model, gate, result } = report;
  console.log(model);
  for (const [name, value] of measures(report)) console.log(`  ${name.padEnd(26)}  ${value}`);
  for (const verdict of gate?.verdicts ?? []) console.log(`  ${describeVerdict(verdict)}`);
  const speed = `${formatSeconds(result.seconds)}, ${result.tokensPerSecond.toFixed(0)} tokens/s`;
  console.log(`${extent(report)}; ${speed}`);
}
