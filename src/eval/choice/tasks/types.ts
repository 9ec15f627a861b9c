import * as v from "valibot";
import type { Picking } from "../../harness/examples.js";

/** A question with several options, one of which is right. */
export interface Question {
  /** Each option goes on after its prompt; only what goes on is scored. */
  readonly options: readonly Option[];
  /** Of the right option. */
  readonly answer: number;
  /** What it is about, where it says so itself. */
  readonly subject?: string | undefined;
  /** The options from `first` on are no answers to choose from, but of these the right ones are to have the probability. */
  readonly truths?: Truths | undefined;
}

export interface Option {
  readonly prompt: string;
  /** Begins with the space that parts it from the prompt. */
  readonly ending: string;
}

export interface Truths {
  readonly first: number;
  readonly right: readonly boolean[];
}

/** A published format of questions: the names of its fields, and the prompt that is usual for it. */
export interface Task {
  readonly name: string;
  /** The names by which a row is known. */
  readonly fields: readonly string[];
  /** What comes before the first question, of a subject, as a file's name has it. */
  readonly header?: ((subject: string) => string) | undefined;
  /** The same in the words of lm-evaluation-harness, where they are others. */
  readonly harnessHeader?: ((subject: string) => string) | undefined;
  /** What lm-evaluation-harness does with it. */
  readonly harness: HarnessTask;
  /** There are no options: the answer is right when each token of it is the likeliest. */
  readonly isOpen?: boolean | undefined;
  /** @throws valibot's ValiError for a row that is none of the format */
  readonly question: (row: unknown) => Question;
}

export interface HarnessTask {
  readonly examples: Picking;
  /** Whether it counts by likelihood per character too. */
  readonly isNormalized: boolean;
}

type Extras = Omit<Task, "name" | "fields" | "question">;

/** @param fields whose presence tells the format, with their types */
export function task<Fields extends v.ObjectEntries>(
  name: string,
  fields: Fields,
  read: (row: v.InferOutput<v.ObjectSchema<Fields, undefined>>) => Question,
  extras: Extras,
): Task {
  const schema = v.object(fields);
  const named = Object.entries(fields).filter(([, { type }]) => type !== "optional");
  return {
    name,
    fields: named.map(([field]) => field),
    question: (row) => read(v.parse(schema, row)),
    ...extras,
  };
}

/** A whole number, which some files have in quotes. */
export const index = (first: number, last: number) =>
  v.pipe(
    v.union([v.string(), v.number()]),
    v.transform(Number),
    v.integer(),
    v.minValue(first),
    v.maxValue(last),
    v.transform((value) => value - first),
  );

export const atLeastTwo = v.pipe(v.array(v.string()), v.minLength(2));
