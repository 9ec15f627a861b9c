import { closeSync, constants, fstatSync, openSync, writeFileSync } from "node:fs";
import { LlqError } from "../../formats/errors.js";
import { refuseInput } from "../../formats/inputs.js";
import { visible } from "../escape.js";
import { describeVerdict, type Verdict } from "../eval/perplexity/gate.js";
import { t } from "../language/t.js";
import { writeError } from "../run/write/encode.js";
import type { Report } from "./report.js";

/** GitHub shows ten annotations of a step and drops the others. */
const MAX_ANNOTATIONS = 10;

/** GitHub refuses the summary of a step from 1 MiB on. */
const MAX_SUMMARY_BYTES = (1 << 20) - 1;

/** Whether this runs in a step of GitHub Actions. */
export function isGithub(): boolean {
  return process.env["GITHUB_ACTIONS"] === "true";
}

let told = false;

/** Notes that reports and GitHub say how the command ended. */
export function markTold(): void {
  told = true;
}

export function isTold(): boolean {
  return told;
}

/** An annotation of a failed command. */
export function failureAnnotation(command: string, message: string): string {
  return `::error title=${escapeProperty(visible(command))}::${escapeData(visible(message))}`;
}

/** Adds to the summary of the step, where there is one. @throws LlqError `usage`, `no-space` */
export function addToSummary(markdown: string): void {
  const file = process.env["GITHUB_STEP_SUMMARY"];
  if (file && Buffer.byteLength(markdown) <= MAX_SUMMARY_BYTES) append(file, markdown);
}

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

/** @throws LlqError `usage` for what is no regular file, which might never take it */
function append(path: string, text: string): void {
  refuseInput(path);
  try {
    const fd = openSync(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | (constants.O_NONBLOCK ?? 0),
    );
    try {
      if (!fstatSync(fd).isFile()) throw new LlqError("usage", t`${path}: is not a regular file`);
      writeFileSync(fd, text);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw cause instanceof LlqError ? cause : writeError(path, cause);
  }
}
