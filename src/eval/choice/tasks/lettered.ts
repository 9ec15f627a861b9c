import * as v from "valibot";
import { CEVAL_SUBJECTS, CMMLU_SUBJECTS } from "./subjects.js";
import { index, type Question, task } from "./types.js";

const LETTERS = ["A", "B", "C", "D"] as const;

const letter = v.pipe(
  v.string(),
  v.trim(),
  v.picklist(LETTERS),
  v.transform((value) => LETTERS.indexOf(value)),
);

/** The options are in the prompt, and their letters are what is scored. */
function lettered(question: string, options: readonly string[], answer: number, cue = "Answer:"): Question {
  const list = options.map((option, i) => `${LETTERS[i]}. ${option}\n`).join("");
  const prompt = `${question.trim()}\n${list}${cue}`;
  return { options: options.map((_, i) => ({ prompt, ending: ` ${LETTERS[i]}` })), answer };
}

const CHINESE_CUE = "答案：";

/** A subject's Chinese name, where its file has an English one. */
const inChinese = (names: ReadonlyMap<string, string>, subject: string) =>
  names.get(subject.replaceAll(" ", "_")) ?? subject;
const ceval = (exam: string) => (subject: string) =>
  `以下是中国关于${inChinese(CEVAL_SUBJECTS, subject)}${exam}的单项选择题，请选出其中的正确答案。\n\n`;
const cmmlu = (subject: string) =>
  `以下是关于${inChinese(CMMLU_SUBJECTS, subject)}的单项选择题，请直接给出正确答案的选项。\n\n`;

const english = {
  header: (subject: string) =>
    `The following are multiple choice questions (with answers) about ${subject.replaceAll("_", " ")}.\n\n`,
  harness: { examples: "first", isNormalized: false },
} as const;
const chinese = { examples: "first", isNormalized: true } as const;

/** The fields of MMLU's files, which have no line that names them. */
export const MMLU_FIELDS = ["question", ...LETTERS, "answer"];
/** Of C-Eval's test files, whose answers are not published. */
export const CEVAL_TEST_FIELDS = ["id", "question", ...LETTERS];

const abcd = { A: v.string(), B: v.string(), C: v.string(), D: v.string() };
const four = v.pipe(v.array(v.string()), v.length(4));

export const LETTERED_TASKS = [
  task(
    "C-Eval",
    { id: v.union([v.string(), v.number()]), question: v.string(), ...abcd, answer: letter },
    ({ question, A, B, C, D, answer }) => lettered(question, [A, B, C, D], answer, CHINESE_CUE),
    { header: ceval("考试"), harnessHeader: ceval(""), harness: chinese },
  ),
  task(
    "CMMLU",
    { Question: v.string(), ...abcd, Answer: letter },
    ({ Question, A, B, C, D, Answer }) => lettered(Question, [A, B, C, D], Answer, CHINESE_CUE),
    { header: cmmlu, harness: chinese },
  ),
  task(
    "MMLU",
    { question: v.string(), ...abcd, answer: letter },
    ({ question, A, B, C, D, answer }) => lettered(question, [A, B, C, D], answer),
    english,
  ),
  task(
    "MMLU, numbered",
    {
      question: v.string(),
      choice0: v.string(),
      choice1: v.string(),
      choice2: v.string(),
      choice3: v.string(),
      answer: index(0, 3),
    },
    ({ question, choice0, choice1, choice2, choice3, answer }) =>
      lettered(question, [choice0, choice1, choice2, choice3], answer),
    english,
  ),
  task(
    "MMLU, as on Hugging Face",
    { question: v.string(), choices: four, answer: index(0, 3), subject: v.optional(v.string()) },
    ({ question, choices, answer, subject }) => ({
      ...lettered(question, choices, answer),
      subject: subject || undefined,
    }),
    english,
  ),
];
