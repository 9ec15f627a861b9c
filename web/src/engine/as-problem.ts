import { HubProblem } from "./hub/problem.js";
import type { Problem, ProblemKind } from "./protocol.js";

/** LlqError's codes, and what they are to the page. */
const KINDS: Readonly<Record<string, ProblemKind>> = {
  usage: "usage",
  "bad-input": "bad-input",
  unsupported: "unsupported",
  "no-space": "quota",
  network: "network",
  interrupted: "cancelled",
};

/** An error of which it is known where it came up what it means to the page. */
export class KnownProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** What an error of llq's, of the browser's or of the Hub's means to the page. */
export function asProblem(error: unknown): Problem {
  if (!(error instanceof Error)) return { kind: "unexpected", message: String(error) };
  if (error instanceof KnownProblem) return error.problem;
  const { name, message } = error;
  if (error instanceof HubProblem) {
    return { kind: error.said === "hubNoModel" ? "unsupported" : "network", said: error.said, message };
  }
  // By its name: there may be llq's class and that of the parts of it that are the page's own.
  if (name === "LlqError") {
    const { code, hint } = error as Error & { code: string; hint?: string };
    return { kind: KINDS[code] ?? "unexpected", message, hint };
  }
  switch (name) {
    case "QuotaExceededError":
      return { kind: "quota", message };
    case "NoModificationAllowedError":
      return { kind: "busy", message };
    case "SecurityError":
    case "NotAllowedError":
      return { kind: "storage", message };
    case "RangeError":
      // What a memory that cannot grow is told as.
      return { kind: /memory|allocation/i.test(message) ? "no-space" : "unexpected", message };
    default:
      return { kind: "unexpected", message: `${name}: ${message}` };
  }
}
