/**
 * What went wrong, as a closed set; the CLI's exit status follows from it (see EXIT_CODE).
 *
 * - `usage`: an option or argument makes no sense
 * - `bad-input`: a file is damaged, unsafe or inconsistent
 * - `unsupported`: a well-formed file of a kind this version does not handle
 * - `no-space`: the disk or the memory does not suffice
 * - `network`: a download failed or was refused
 * - `system`: the system refuses what every program needs: open files, threads
 * - `gate`: a check the user asked for did not pass
 * - `undecided`: a check could not be decided; trying again with more data may help
 * - `interrupted`, `terminated`: stopped by Ctrl-C, by a polite kill (SIGTERM)
 */
export type ErrorCode =
  | "usage"
  | "bad-input"
  | "unsupported"
  | "no-space"
  | "network"
  | "system"
  | "gate"
  | "undecided"
  | "interrupted"
  | "terminated";

export const EXIT_CODE: Record<ErrorCode, number> = {
  gate: 1,
  usage: 2,
  "bad-input": 3,
  unsupported: 4,
  "no-space": 5,
  network: 6,
  system: 71,
  undecided: 75,
  interrupted: 130,
  terminated: 143,
};

/** The one error class: what is wrong (file, tensor, byte, numbers), and what to do about it. */
export class LlqError extends Error {
  override readonly name = "LlqError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** Shorthand for the commonest error: a file that is not what it should be. */
export function badInput(message: string, hint?: string): LlqError {
  return new LlqError("bad-input", message, { hint });
}

/** The candidate nearest to `word` by edit distance, if near enough to be a slip of the fingers. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Node's error for a failed system call, told apart by its `code`. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
