import * as v from "valibot";
import { isEquivalent, lastBoxed } from "./math-text.js";
import type { Score, WrittenTask } from "./types.js";

const row = v.object({
  problem: v.string(),
  solution: v.pipe(
    v.string(),
    v.check((text) => lastBoxed(text) !== undefined, "no \\boxed{answer} in it"),
  ),
});

/** What stands between the first and the last dollar sign, else the whole: it never looks for \boxed. */
function betweenDollars(text: string): string {
  const first = text.indexOf("$");
  const last = text.lastIndexOf("$");
  return last > first ? text.slice(first + 1, last) : text;
}

const isRight = (answer: string, gold: readonly string[]) => gold.some((each) => isEquivalent(answer, each));

const harnessMatch: Score = { name: "exact_match", answer: betweenDollars, isRight };

/** What is in the last \boxed, else behind the last "answer is", else in the last formula, else the first line. */
const boxed: Score = {
  name: "answer",
  answer: (text) => {
    const found = lastBoxed(text);
    if (found !== undefined) return found.trim();
    const said = [...text.matchAll(/answer is:?\s*([^\n]+)/gi)].at(-1)?.[1];
    const formula = [...(said ?? text).matchAll(/\$([^$\n]+)\$/g)].at(-1)?.[1];
    const line = formula ?? said ?? text.trim().split("\n")[0]!;
    return line.trim().replace(/\.$/, "");
  },
  isRight,
};

const stop = ["Problem:"];

/** By text alone: \frac{2}{4} is not 1/2 here. That takes a computer algebra system, as minerva_math and math_verify have. */
export const MATH: WrittenTask = {
  name: "math",
  title: "MATH",
  fields: ["problem", "solution"],
  delimiter: " ",
  shots: 4,
  picking: "drawn",
  manners: {
    harness: { stop, maxTokens: 256, scores: [harnessMatch] },
    llq: { stop, maxTokens: 512, scores: [boxed, harnessMatch] },
  },
  question: (value) => {
    const { problem, solution } = v.parse(row, value);
    const answer = lastBoxed(solution)!;
    return { prompt: `Problem: ${problem}\nAnswer:`, target: answer, gold: [answer] };
  },
};
