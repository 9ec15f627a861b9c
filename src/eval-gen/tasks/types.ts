import type { ProtocolName } from "../../eval/choice/protocols.js";
import type { Picking } from "../../eval/harness/examples.js";

export type { ProtocolName };

/** A question whose answer is written. */
export interface WrittenQuestion {
  readonly prompt: string;
  /** What is right, as an example shows it. */
  readonly target: string;
  /** What may be right, as scores take it. */
  readonly gold: readonly string[];
  /** What the published file calls it, where it does. */
  readonly name?: string | undefined;
}

/** One way to read an answer out of a text, and to judge it. */
export interface Score {
  readonly name: string;
  readonly answer: (text: string) => string;
  readonly isRight: (answer: string, gold: readonly string[]) => boolean;
}

/** What a protocol asks and counts. */
export interface Manner {
  /** Texts that end an answer, beside the token that ends all. */
  readonly stop: readonly string[];
  /** Of an answer. */
  readonly maxTokens: number;
  /** The first one counts. */
  readonly scores: readonly Score[];
}

/** A set of questions as it is published. */
export interface WrittenTask {
  readonly name: string;
  /** What it is called in print. */
  readonly title: string;
  /** The names by which a row is known. */
  readonly fields: readonly string[];
  /** Between a prompt and its answer. */
  readonly delimiter: string;
  /** Examples that are usual, where there are any to show. */
  readonly shots: number;
  /** How the harness picks them. */
  readonly picking: Picking;
  readonly manners: Readonly<Record<ProtocolName, Manner>>;
  /** @throws valibot's ValiError for a row that is none of the form */
  readonly question: (row: unknown, protocol: ProtocolName) => WrittenQuestion;
}
