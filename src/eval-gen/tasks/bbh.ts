import * as v from "valibot";
import { equals, found } from "./python.js";
import type { Score, WrittenTask } from "./types.js";

const row = v.object({ input: v.string(), target: v.string() });

/** What stands behind "the answer is" in its line, but for the last character. */
const harnessAnswer: Score = {
  name: "get-answer",
  answer: (text) => found(text, /(?<=the answer is )([^\n]*)(?=[^\n])/g, "first"),
  isRight: equals,
};

const plain = (text: string) =>
  text
    .trim()
    .replace(/[.!\s]+$/, "")
    .toLowerCase();

/** What stands behind the last "the answer is" in its line, else the last line; case and full stop do not count. */
const answer: Score = {
  name: "answer",
  answer: (text) => {
    const marked = [...text.matchAll(/the answer is:?\s*([^\n]+)/gi)].at(-1)?.[1];
    return plain(marked ?? text.trim().split("\n").at(-1)!);
  },
  isRight: (said, gold) => gold.some((text) => plain(text) === said),
};

export const COT_CUE = "\nA: Let's think step by step.\n";

export const BBH: WrittenTask = {
  name: "bbh",
  title: "BIG-Bench Hard",
  fields: ["input", "target"],
  delimiter: "",
  shots: 3,
  picking: "first",
  manners: {
    harness: { stop: ["</s>", "Q", "\n\n"], maxTokens: 1024, scores: [harnessAnswer] },
    llq: { stop: ["\nQ:", "</s>"], maxTokens: 512, scores: [answer, harnessAnswer] },
  },
  question: (value) => {
    const { input, target } = v.parse(row, value);
    return { prompt: `Q: ${input}${COT_CUE}`, target, gold: [target] };
  },
};
