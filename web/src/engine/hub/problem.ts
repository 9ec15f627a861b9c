import type { PageText } from "../protocol.js";

/** What is wrong with the Hub or what comes from it: a sentence of the page's, and where. */
export class HubProblem extends Error {
  override readonly name = "HubProblem";
  readonly said: PageText;

  constructor(said: PageText, where: string) {
    super(where);
    this.said = said;
  }
}

/** A failure that may pass. Never leaves this folder: who gives up throws its problem. */
export class BrokenOff extends Error {
  readonly problem: HubProblem;
  /** Milliseconds that the server asks to wait. */
  readonly wait: number | undefined;

  constructor(problem: HubProblem, wait?: number) {
    super(problem.message);
    this.problem = problem;
    this.wait = wait;
  }
}
