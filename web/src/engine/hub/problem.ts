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
