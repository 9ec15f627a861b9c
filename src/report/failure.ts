import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { type ErrorCode, LlqError } from "../../formats/errors.js";
import { escapeMarkdown } from "../escape.js";
import { writeOutput } from "../run/write/output.js";
import { isJsonPrinted, printJson } from "../ui.js";
import { FAILURE } from "./documents/index.js";
import { addToSummary, failureAnnotation, isGithub, isTold, markTold } from "./github.js";
import { failureJunit } from "./junit.js";

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
  return { code, message, hint, file: fileOf(message), tensor: /\btensor ([\w.]+\w)/.exec(message)?.[1] };
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
  if (options.includes("--json") && !isJsonPrinted()) printJson(FAILURE, { schema: 1, error: failure });
  if (isTold()) return; // a report has said all of it
  const junit = optionValue(options, "--junit");
  if (junit) {
    tryTo(() => {
      if (existsSync(junit) && !isJunit(junit)) return;
      writeOutput(junit, Buffer.from(failureJunit(command, code, text)), true);
    });
  }
  if (!isGithub()) return;
  markTold();
  process.stderr.write(`${failureAnnotation(command, text)}\n`);
  tryTo(() => addToSummary(`### ${command}: ${code}\n\n${escapeMarkdown(text)}\n`));
}

/**
 * Whether the file is such a report. Any other stays: the command may have ended before it was known what its inputs are,
 * and because one was named as a report.
 */
function isJunit(path: string): boolean {
  if (!statSync(path).isFile()) return false;
  const fd = openSync(path, "r"); // read otherwise it would be an input
  try {
    const start = Buffer.alloc(200);
    const length = readSync(fd, start, 0, start.length, 0);
    return /^<\?xml [^>]*>\s*<testsuites>/.test(start.toString("latin1", 0, length));
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
