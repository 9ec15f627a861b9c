// The program behind cli.ts: runs the command, and says what an error means.
import { EXIT_CODE, LlqError, systemErrorCode } from "../formats/errors.js";
import { visible } from "./escape.js";

const BUG = 70;

/** Of what every program needs, before it has opened anything of the user's. */
const SYSTEM_FAILURES: Readonly<Record<string, string>> = {
  EMFILE: "too many files are open: allow more at once, such as by ulimit -n 8192",
  ENFILE: "too many files are open on this machine",
  EAGAIN: "the system starts no more threads: -j takes fewer",
  ENOMEM: "the system gives no more memory: -j with fewer threads takes less",
  ERR_WORKER_INIT_FAILED: "a thread cannot be started: -j takes fewer",
  ERR_WORKER_OUT_OF_MEMORY: "a thread is out of memory: -j with fewer threads takes less",
};

try {
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
    write(`error: ${visible(error.message)}`);
    if (error.hint !== undefined) write(` hint: ${visible(error.hint)}`);
    if (isVerbose()) for (const line of traceOf(error)) write(visible(line));
    return EXIT_CODE[error.code];
  }
  const why = SYSTEM_FAILURES[systemErrorCode(error) ?? ""];
  if (why !== undefined) {
    write(`error: ${why}`);
    return EXIT_CODE.system;
  }
  for (const line of traceOf(error)) write(visible(line));
  write("This is a bug in llq: please report it, with what is above and the command.");
  return BUG;
}
