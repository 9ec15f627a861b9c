import * as v from "valibot";

/** A question with several options, one of which is right. */
export interface Question {
  /** Each option goes on after its prompt; only what goes on is scored. */
  readonly options: readonly Option[];
  /** Of the right option. */
  readonly answer: number;
}

export interface Option {
  readonly prompt: string;
  /** Begins with the space that parts it from the prompt. */
  readonly ending: string;
}

/** A published format of questions: the names of its fields, and the prompt that is usual for it. */
export interface Task {
  readonly name: string;
  /** The names by which a row is known. */
  readonly fields: readonly string[];
  /** What comes before the first question, of a subject. */
  readonly header?: ((subject: string) => string) | undefined;
  /** @throws valibot's ValiError for a row that is none of the format */
  readonly question: (row: unknown) => Question;
}

function task<Fields extends v.ObjectEntries>(
  name: string,
  fields: Fields,
  read: (row: v.InferOutput<v.ObjectSchema<Fields, undefined>>) => Question,
  header?: Task["header"],
): Task {
  const schema = v.object(fields);
  return { name, fields: Object.keys(fields), header, question: (row) => read(v.parse(schema, row)) };
}

const LETTERS = ["A", "B", "C", "D"] as const;

const letter = v.pipe(
  v.string(),
  v.trim(),
  v.picklist(LETTERS),
  v.transform((value) => LETTERS.indexOf(value)),
);
/** A whole number, which some files have in quotes. */
const index = (first: number, last: number) =>
  v.pipe(
    v.union([v.string(), v.number()]),
    v.transform(Number),
    v.integer(),
    v.minValue(first),
    v.maxValue(last),
    v.transform((value) => value - first),
  );
const atLeastTwo = v.pipe(v.array(v.string()), v.minLength(2));

/** The options are in the prompt, and their letters are what is scored. */
function lettered(question: string, options: readonly string[], answer: number, cue = "Answer:"): Question {
  const list = options.map((option, i) => `${LETTERS[i]}. ${option}\n`).join("");
  const prompt = `${question.trim()}\n${list}${cue}`;
  return { options: options.map((_, i) => ({ prompt, ending: ` ${LETTERS[i]}` })), answer };
}

/** The options themselves are scored, after one prompt. */
function continued(prompt: string, endings: readonly string[], answer: number): Question {
  return { options: endings.map((ending) => ({ prompt, ending: ` ${ending}` })), answer };
}

const english = (subject: string) =>
  `The following are multiple choice questions (with answers) about ${subject}.\n\n`;
const ceval = (subject: string) => `以下是中国关于${subject}考试的单项选择题，请选出其中的正确答案。\n\n`;
const cmmlu = (subject: string) => `以下是关于${subject}的单项选择题，请直接给出正确答案的选项。\n\n`;
const CHINESE_CUE = "答案：";

/** The fields of MMLU's files, which have no line that names them. */
export const MMLU_FIELDS = ["question", ...LETTERS, "answer"];

const abcd = { A: v.string(), B: v.string(), C: v.string(), D: v.string() };
const labelled = { text: atLeastTwo, label: v.array(v.string()) };

/** Where a row has the fields of several, the first is meant. */
export const TASKS: readonly Task[] = [
  task(
    "C-Eval",
    { id: v.string(), question: v.string(), ...abcd, answer: letter },
    ({ question, A, B, C, D, answer }) => lettered(question, [A, B, C, D], answer, CHINESE_CUE),
    ceval,
  ),
  task(
    "CMMLU",
    { Question: v.string(), ...abcd, Answer: letter },
    ({ Question, A, B, C, D, Answer }) => lettered(Question, [A, B, C, D], Answer, CHINESE_CUE),
    cmmlu,
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
    "ARC, as on Hugging Face",
    { question: v.string(), choices: v.object(labelled), answerKey: v.string() },
    ({ question, choices, answerKey }) => arc(question, choices.text, choices.label, answerKey),
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
  ),
  task(
    "BoolQ",
    { passage: v.string(), question: v.string(), answer: v.boolean() },
    ({ passage, question, answer }) =>
      continued(`${passage}\nQuestion: ${question}?\nAnswer:`, ["no", "yes"], Number(answer)),
  ),
];

/** The format of which a row has all fields. */
export function findTask(row: object): Task | undefined {
  return TASKS.find(({ fields }) => fields.every((field) => field in row));
}

function arc(question: string, texts: readonly string[], labels: readonly string[], key: string): Question {
  return continued(`Question: ${question}\nAnswer:`, texts, labels.indexOf(key));
}

/** HellaSwag has headings such as [title], left over from the pages it was taken from. */
function withoutMarkup(text: string): string {
  return text
    .trim()
    .replaceAll(" [title]", ". ")
    .replace(/\[[^\]]*\]/g, "")
    .replaceAll("  ", " ");
}
