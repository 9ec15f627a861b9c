import * as v from "valibot";
import { atLeastTwo, index, type Question, task } from "./types.js";

/** The options themselves are scored, after one prompt. */
export function continued(prompt: string, endings: readonly string[], answer: number): Question {
  return { options: endings.map((ending) => ({ prompt, ending: ` ${ending}` })), answer };
}

const labelled = { text: atLeastTwo, label: v.array(v.string()) };
const ARC = { harness: { examples: "drawn", isNormalized: true } } as const;
const BOOLQ = { harness: { examples: "drawn-one-more", isNormalized: false } } as const;

function arc(question: string, texts: readonly string[], labels: readonly string[], key: string): Question {
  return continued(`Question: ${question}\nAnswer:`, texts, labels.indexOf(key));
}

function boolq(passage: string, question: string, answer: boolean): Question {
  return continued(`${passage}\nQuestion: ${question}?\nAnswer:`, ["no", "yes"], Number(answer));
}

/** HellaSwag has headings such as [title], left over from the pages it was taken from. */
function withoutMarkup(text: string): string {
  return text
    .trim()
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");
}

export const CONTINUED_TASKS = [
  task(
    "ARC, as on Hugging Face",
    { question: v.string(), choices: v.object(labelled), answerKey: v.string() },
    ({ question, choices, answerKey }) => arc(question, choices.text, choices.label, answerKey),
    ARC,
  ),
  task(
    "ARC",
    {
      question: v.object({
        stem: v.string(),
        choices: v.pipe(v.array(v.object({ text: v.string(), label: v.string() })), v.minLength(2)),
      }),
      answerKey: v.string(),
    },
    ({ question: { stem, choices }, answerKey }) =>
      arc(
        stem,
        choices.map(({ text }) => text),
        choices.map(({ label }) => label),
        answerKey,
      ),
    ARC,
  ),
  task(
    "HellaSwag",
    {
      activity_label: v.string(),
      ctx_a: v.string(),
      ctx_b: v.string(),
      endings: atLeastTwo,
      label: index(0, 3),
    },
    ({ activity_label, ctx_a, ctx_b, endings, label }) => {
      const sentence = ctx_b.charAt(0).toUpperCase() + ctx_b.slice(1).toLowerCase();
      const prompt = withoutMarkup(`${activity_label}: ${ctx_a} ${sentence}`);
      return continued(prompt, endings.map(withoutMarkup), label);
    },
    { harness: { examples: "drawn-one-more", isNormalized: true } },
  ),
  task(
    "Winogrande",
    {
      sentence: v.pipe(v.string(), v.includes("_")),
      option1: v.string(),
      option2: v.string(),
      answer: index(1, 2),
    },
    ({ sentence, option1, option2, answer }) => {
      const blank = sentence.indexOf("_");
      // What is scored is the same for both: how well the sentence goes on after each.
      const ending = ` ${sentence.slice(blank + 1).trim()}`;
      const prompts = [option1, option2].map((option) => sentence.slice(0, blank) + option);
      return { options: prompts.map((prompt) => ({ prompt, ending })), answer };
    },
    { harness: { examples: "drawn-one-more", isNormalized: false } },
  ),
  task(
    "BoolQ",
    { passage: v.string(), question: v.string(), answer: v.boolean() },
    ({ passage, question, answer }) => boolq(passage, question, answer),
    BOOLQ,
  ),
  task(
    "BoolQ, as in SuperGLUE",
    { passage: v.string(), question: v.string(), label: v.union([index(0, 1), v.boolean()]) },
    ({ passage, question, label }) => boolq(passage, question, Boolean(label)),
    BOOLQ,
  ),
  task(
    "PIQA",
    { goal: v.string(), sol1: v.string(), sol2: v.string(), label: index(0, 1) },
    ({ goal, sol1, sol2, label }) => continued(`Question: ${goal}\nAnswer:`, [sol1, sol2], label),
    { harness: { examples: "drawn-one-more", isNormalized: true } },
  ),
];
