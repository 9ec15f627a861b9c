import { isDeepStrictEqual } from "#host/equal";
import type { Tokenizer, Vocab } from "../../tokenizer/types.js";
import { examplePicker } from "../harness/examples.js";
import type { NumberedQuestion } from "./questions.js";
import type { Task } from "./tasks/types.js";

export const PROTOCOLS = ["llq", "harness"] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

/** Tokens of a prompt and of what goes on after it. */
export interface Encoded {
  readonly tokens: Int32Array;
  /** Where the ending begins; at least 1. */
  readonly start: number;
}

/** How questions are put and likelihoods are compared. `llq eval-choice --help` and protocols.md say where they differ. */
export interface Protocol {
  readonly header: (task: Task, subject: string) => string;
  /** Examples for one question after the other. @throws LlqError `usage` for more than there are */
  readonly picker: (
    task: Task,
    pool: readonly NumberedQuestion[],
    shots: number,
  ) => (question: NumberedQuestion) => readonly NumberedQuestion[];
  readonly encode: (vocab: Vocab, tokenizer: Tokenizer, prompt: string, ending: string) => Encoded;
  /** What of a sequence fits the context; undefined: it is left out. */
  readonly cut: (sequence: Encoded, context: number) => Encoded | undefined;
  /** Whether a question counts by this too. */
  readonly isNormalized: (task: Task) => boolean;
  /** What a log-likelihood is divided by, so that endings of several lengths compare. */
  readonly lengthOf: (ending: string, tokens: number) => number;
}

const llq: Protocol = {
  header: ({ header }, subject) => header?.(subject) ?? "",
  picker: (_, pool, shots) => examplePicker(pool, shots, "first", () => false),
  /**
   * The whole is tokenized at once, as text that the model was trained on is. A token that spans the end of the prompt
   * belongs to the ending.
   */
  encode: (_, tokenizer, prompt, ending) => {
    const before = tokenizer.encode(prompt);
    const tokens = tokenizer.encode(prompt + ending);
    const differs = before.findIndex((token, i) => token !== tokens[i]);
    return { tokens, start: Math.max(1, differs < 0 ? before.length : differs) };
  },
  cut: (sequence, context) => (sequence.tokens.length <= context ? sequence : undefined),
  isNormalized: ({ isOpen }) => isOpen !== true,
  lengthOf: (_, tokens) => tokens,
};

/** lm-evaluation-harness 0.4.13 over transformers: its `hf` model with default options. */
const harness: Protocol = {
  header: ({ header, harnessHeader = header }, subject) => harnessHeader?.(subject) ?? "",
  picker: (task, pool, shots) =>
    examplePicker(pool, shots, task.harness.examples, (example, question) =>
      isDeepStrictEqual({ ...example, line: 0 }, { ...question, line: 0 }),
    ),
  /** White space at the end of a prompt belongs to the ending, and so do all tokens but as many as the prompt has alone. */
  encode: (vocab, tokenizer, prompt, ending) => {
    const bare = prompt.trimEnd();
    const whole = prompt + ending;
    if (prompt === "") {
      const tokens = tokenizer.encode(ending, { addBos: false });
      const before = vocab.special.bos ?? vocab.special.eos;
      return before === undefined || tokens[0] === before
        ? { tokens, start: 1 }
        : { tokens: Int32Array.of(before, ...tokens), start: 1 };
    }
    return { tokens: tokenizer.encode(whole), start: tokenizer.encode(bare).length };
  },
  /** Cut from the left. The last token is only predicted, so it is one more than the context has. */
  cut: ({ tokens, start }, context) => {
    const ending = tokens.length - start;
    if (start < 1 || ending < 1 || ending > context) return undefined;
    const cut = Math.max(0, tokens.length - context - 1);
    return { tokens: tokens.subarray(cut), start: start - cut };
  },
  isNormalized: ({ harness: { isNormalized } }) => isNormalized,
  /** Characters behind the space that parts an ending from its prompt. */
  lengthOf: (ending) => [...ending].length - 1,
};

export const PROTOCOL: Readonly<Record<ProtocolName, Protocol>> = { llq, harness };
