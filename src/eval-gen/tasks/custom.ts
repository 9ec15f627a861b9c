import * as v from "valibot";
import type { Score, WrittenTask } from "./types.js";

const row = v.object({
  prompt: v.string(),
  answer: v.union([v.string(), v.pipe(v.array(v.string()), v.minLength(1))]),
});

const trimmed: Score = {
  name: "exact",
  answer: (text) => text.trim(),
  isRight: (answer, gold) => gold.includes(answer),
};

const contains: Score = {
  name: "contains",
  answer: (text) => text.trim(),
  isRight: (answer, gold) => gold.some((text) => answer.toLowerCase().includes(text.toLowerCase())),
};

const manner = { stop: ["\n"], maxTokens: 256, scores: [trimmed, contains] };

/** Questions of one's own: a prompt, and one or several texts that are right. */
export const CUSTOM: WrittenTask = {
  name: "custom",
  title: "questions of your own",
  fields: ["prompt", "answer"],
  delimiter: " ",
  shots: 5,
  picking: "first",
  manners: { harness: manner, llq: manner },
  question: (value) => {
    const { prompt, answer } = v.parse(row, value);
    const gold = typeof answer === "string" ? [answer] : answer;
    return { prompt, target: gold[0]!, gold };
  },
};
