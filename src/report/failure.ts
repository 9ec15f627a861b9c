import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { type ErrorCode, LlqError } from "../../formats/errors.js";
import { escapeMarkdown } from "../escape.js";
import { claimOutputs } from "../run/write/claim.js";
import { writeOutput } from "../run/write/output.js";
import { isJsonPrinted, printJson } from "../ui.js";
import type { FAILURE } from "./documents/index.js";
import { addToSummary, failureAnnotation, isGithub, isTold, markTold } from "./github.js";
import { failureJunit, JUNIT_HEAD } from "./junit.js";

/** What a failure is called where it is no LlqError. */
export type FailureCode = ErrorCode | "bug";

/** Why a command came to no result, or to a bad one. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The file and the tensor that it is about, where it is about one. */
  readonly file?: string | undefined;
  readonly tensor?: string | undefined;
}

/** @param error whatever was thrown */
export function failureOf(error: unknown, code: FailureCode): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof LlqError ? error.hint : undefined;
  return {
    code,
    message,
    hint,
    file: fileOf(message),
    tensor: /(?:\btensor|张量) ([\w.]+\w)/.exec(message)?.[1],
  };
}

/** Messages begin with the file they are about. */
function fileOf(message: string): string | undefined {
  for (const { index } of message.matchAll(/: /g)) {
    const path = message.slice(0, index);
    if (path.length < 4096 && !path.includes("\0") && (existsSync(path) || path.startsWith("hf:")))
      return path;
  }
  return undefined;
}

/**
 * Says it to programs, in whatever form the command line asks for: JSON on stdout, JUnit, GitHub's annotations and summary.
 * What cannot be written is not: there is a failure already.
 * @param args the command line, which may be one that no command understands
 */
export function tellFailure(failure: Failure, args: readonly string[]): void {
  const options = args.slice(0, args.indexOf("--") < 0 ? args.length : args.indexOf("--"));
  const command = `llq ${args.find((arg) => !arg.startsWith("-")) ?? ""}`.trimEnd();
  const { code, message, hint } = failure;
  const text = hint === undefined ? message : `${message} (${hint})`;
  if (options.includes("--json") && !isJsonPrinted())
    printJson<typeof FAILURE>({ schema: 1, error: failure });
  if (isTold()) return; // a report has said all of it
  const junit = optionValue(options, "--junit");
  if (junit) tryTo(() => writeFailure(junit, failureJunit(command, code, text)));
  if (!isGithub()) return;
  markTold();
  process.stderr.write(`${failureAnnotation(command, text)}\n`);
  tryTo(() => addToSummary(`### ${command}: ${code}\n\n${escapeMarkdown(text)}\n`));
}

/**
 * After a command line that was not understood, or a command that ended before it read anything, nobody knows what is an
 * input: so what this replaces is a report of before, and nothing else.
 */
function writeFailure(path: string, report: string): void {
  if (!isFreeForReport(path)) return;
  const claim = claimOutputs([path], { force: true });
  try {
    writeOutput(path, Buffer.from(report), true);
  } finally {
    claim.release();
  }
}

function isFreeForReport(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (stat.isFile() && stat.size === 0)) return true;
  if (!stat.isFile()) return false;
  const head = Buffer.alloc(JUNIT_HEAD.length);
  const fd = openSync(path, "r");
  try {
    return head.toString("latin1", 0, readSync(fd, head)) === JUNIT_HEAD;
  } finally {
    closeSync(fd);
  }
}

function optionValue(options: readonly string[], name: string): string | undefined {
  const at = options.findLastIndex((option) => option === name || option.startsWith(`${name}=`));
  if (at < 0) return undefined;
  return options[at] === name ? options[at + 1] : options[at]!.slice(name.length + 1);
}

function tryTo(write: () => void): void {
  try {
    write();
  } catch {}
}
