import * as v from "valibot";
import { equals, withoutPunctuation } from "./python.js";
import type { Score, WrittenTask } from "./types.js";

const aliases = v.pipe(v.array(v.string()), v.minLength(1));
/** As on the Hub. */
const hubRow = v.pipe(
  v.object({ question: v.string(), answer: v.object({ aliases, value: v.optional(v.string()) }) }),
  v.transform(({ question, answer }) => ({ question, aliases: answer.aliases, name: undefined })),
);
/** As in the authors' own files. */
const authorsRow = v.pipe(
  v.object({ Question: v.string(), QuestionId: v.string(), Answer: v.object({ Aliases: aliases }) }),
  v.transform(({ Question, QuestionId, Answer }) => ({
    ...{ question: Question, aliases: Answer.Aliases, name: QuestionId },
  })),
);

const folded = (text: string) => withoutPunctuation(text.toLowerCase());

/** Equal to an alias, but for case and punctuation. */
const harnessMatch: Score = {
  name: "remove_whitespace",
  answer: (text) => text.trim(),
  isRight: (answer, gold) => equals(folded(answer), gold.map(folded)),
};

/** As TriviaQA's own evaluation has it: articles, case, punctuation and runs of white space do not count. */
function normalized(text: string): string {
  return text
    .toLowerCase()
    .replaceAll("_", " ")
    .replace(/[‘’´`]/g, "'")
    .replace(/[\p{P}\p{S}]/gu, " ")
    .replace(/\b(a|an|the)\b/g, " ")
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
}

const match: Score = {
  name: "match",
  answer: (text) => text.trim(),
  isRight: (answer, gold) => gold.some((alias) => normalized(alias) === normalized(answer)),
};

export const TRIVIAQA: WrittenTask = {
  name: "triviaqa",
  title: "TriviaQA",
  fields: ["question", "answer.aliases"],
  delimiter: " ",
  shots: 5,
  picking: "drawn-one-more",
  manners: {
    harness: { stop: ["\n", ".", ","], maxTokens: 256, scores: [harnessMatch] },
    llq: { stop: ["\n"], maxTokens: 48, scores: [match, harnessMatch] },
  },
  question: (value, protocol) => {
    const row = Object.hasOwn(Object(value), "Question") ? authorsRow : hubRow;
    const { question, aliases: gold, name } = v.parse(row, value);
    // the harness puts a question mark behind the one that is there
    const asked = protocol === "harness" ? `${question}?` : `${question.replace(/\?+$/, "")}?`;
    return { prompt: `Question: ${asked}\nAnswer:`, target: gold[0]!, gold, name };
  },
};
