// The program behind cli.ts: runs the command, and says what an error means.

import { EXIT_CODE, LlqError, systemErrorCode } from "../formats/errors.js";
import { visible } from "./escape.js";
import { wantedLanguage } from "./language/language.js";
import { t } from "./language/t.js";

const BUG = 70;

/** Of what every program needs, before it has opened anything of the user's. */
const SYSTEM_FAILURES: Readonly<Record<string, () => string>> = {
  EMFILE: () => t`too many files are open: allow more at once, such as by ulimit -n 8192`,
  ENFILE: () => t`too many files are open on this machine`,
  EAGAIN: () => t`the system starts no more threads: -j takes fewer`,
  ENOMEM: () => t`the system gives no more memory: -j with fewer threads takes less`,
  ERR_WORKER_INIT_FAILED: () => t`a thread cannot be started: -j takes fewer`,
  ERR_WORKER_OUT_OF_MEMORY: () => t`a thread is out of memory: -j with fewer threads takes less`,
};

try {
  const language = wantedLanguage(process.argv.slice(2), process.env);
  if (language !== "en") (await import("./language/catalogue.js")).useLanguage(language);
  const { main } = await import("./main.js"); // what it needs may be what cannot be had
  await main();
} catch (error) {
  process.exitCode = report(error);
  await tell(error);
}

/** Programs are told too, if what does that can be loaded. */
async function tell(error: unknown): Promise<void> {
  try {
    const { failureOf, tellFailure } = await import("./report/failure.js");
    const isSystem = SYSTEM_FAILURES[systemErrorCode(error) ?? ""] !== undefined;
    const code = error instanceof LlqError ? error.code : isSystem ? "system" : "bug";
    tellFailure(failureOf(error, code), process.argv.slice(2));
  } catch {}
}

function isVerbose(): boolean {
  return process.argv.some((argument) => argument === "-v" || argument === "--verbose");
}

function traceOf(error: unknown): string[] {
  const own = String(error instanceof Error ? error.stack : error).split("\n");
  const isCaused = error instanceof Error && error.cause !== undefined;
  return isCaused ? [...own, ...`caused by ${traceOf(error.cause).join("\n")}`.split("\n")] : own;
}

function report(error: unknown): number {
  const write = (text: string) => process.stderr.write(`${text}\n`);
  if (error instanceof LlqError) {
    if ("shown" in error) return EXIT_CODE[error.code];
    write(t`error: ${visible(error.message)}`);
    if (error.hint !== undefined) write(t` hint: ${visible(error.hint)}`);
    if (isVerbose()) for (const line of traceOf(error)) write(visible(line));
    return EXIT_CODE[error.code];
  }
  const why = SYSTEM_FAILURES[systemErrorCode(error) ?? ""];
  if (why !== undefined) {
    write(t`error: ${why()}`);
    return EXIT_CODE.system;
  }
  for (const line of traceOf(error)) write(visible(line));
  write(t`This is a bug in llq: please report it, with what is above and the command.`);
  return BUG;
}
