import * as v from "valibot";
import { looksComplete } from "./python-syntax.js";
import type { Score, WrittenTask } from "./types.js";

const row = v.object({
  task_id: v.string(),
  prompt: v.string(),
  entry_point: v.string(),
  canonical_solution: v.string(),
  test: v.string(),
});

/** Whether the code is whole, which is all that can be said of it without running it. */
const complete: Score = {
  name: "looks complete",
  answer: (text) => text,
  isRight: (answer, [prompt]) => /\S/.test(answer) && looksComplete(prompt! + answer),
};

const manner = {
  stop: ["\nclass", "\ndef", "\n#", "\nif", "\nprint"],
  maxTokens: 1024,
  scores: [complete],
};

/** Code is written and never executed: `--samples` is for a program that does, in a place where it may. */
export const HUMANEVAL: WrittenTask = {
  name: "humaneval",
  title: "HumanEval",
  fields: ["task_id", "prompt", "entry_point"],
  delimiter: "",
  shots: 0,
  picking: "first",
  manners: { harness: manner, llq: { ...manner, maxTokens: 512 } },
  question: (value) => {
    const { task_id, prompt, canonical_solution } = v.parse(row, value);
    return { prompt, target: canonical_solution, gold: [prompt], name: task_id };
  },
};
