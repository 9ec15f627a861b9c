import * as v from "valibot";
import { equals, found, INVALID } from "./python.js";
import type { Manner, Score, WrittenTask } from "./types.js";

const row = v.object({
  question: v.string(),
  answer: v.pipe(
    v.string(),
    v.check((text) => /####\s*\S/.test(text), "no #### with the result behind it"),
  ),
});

/** As exact_match has it: commas, dollar signs, all before the last "#### " and a full stop at the end do not count. */
function bare(text: string): string {
  return text
    .replaceAll(",", "")
    .replaceAll("$", "")
    .replace(/[\s\S]*#### /, "")
    .replace(/\.(?=\n?$)/g, "")
    .toLowerCase();
}

const isSame = (answer: string, gold: readonly string[]) => equals(bare(answer), gold.map(bare));

/** What stands behind ####. */
const strict: Score = {
  name: "strict-match",
  answer: (text) => found(text, /#### (-?[0-9.,]+)/g, "first"),
  isRight: isSame,
};

/** The last thing that looks like a number. */
const flexible: Score = {
  name: "flexible-extract",
  answer: (text) => found(text, /(-?[$0-9.,]{2,})|(-?[0-9]+)/g, "last"),
  isRight: isSame,
};

const NUMBER = /-?\$?\d[\d,]*(?:\.\d+)?/g;

/** The number behind ####, else behind "the answer is", else the last one; compared as a number. */
const number: Score = {
  name: "number",
  answer: (text) => {
    const marked = text.match(/####\s*([^\n]*)/)?.[1] ?? text.match(/answer is:?\s*([^\n]*)/i)?.[1];
    const first = marked?.match(NUMBER)?.[0];
    return first ?? text.match(NUMBER)?.at(-1) ?? INVALID;
  },
  isRight: (answer, gold) =>
    gold.some((text) => numberOf(answer) === numberOf(text.replace(/[\s\S]*####/, "").trim())),
};

function numberOf(text: string): number {
  return Number.parseFloat(text.replace(/[$,]/g, ""));
}

const manner: Omit<Manner, "scores"> = { stop: ["Question:", "</s>", "<|im_end|>"], maxTokens: 256 };

export const GSM8K: WrittenTask = {
  name: "gsm8k",
  title: "GSM8K",
  fields: ["question", "answer"],
  delimiter: " ",
  shots: 5,
  picking: "drawn",
  manners: {
    harness: { ...manner, scores: [strict, flexible] },
    llq: { ...manner, scores: [number, strict, flexible] },
  },
  question: (value) => {
    const { question, answer } = v.parse(row, value);
    return { prompt: `Question: ${question}\nAnswer:`, target: answer, gold: [answer] };
  },
};
