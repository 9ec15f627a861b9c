import { join } from "#host/files";
import { listFolder } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import type { Tokenizer } from "../../tokenizer/types.js";
import { type Interval, wilsonInterval } from "../perplexity/statistics.js";
import { type ChoiceOptions, type ChoiceResult, evaluateChoice } from "./choice.js";
import { type QuestionFile, readQuestions, subjectOf } from "./questions.js";
import { categoriesOf } from "./tasks/categories.js";
import type { Task } from "./tasks/types.js";

/** A file of a folder, with the examples of its subject. */
export interface SubjectFile {
  /** As the file's name has it. */
  readonly subject: string;
  readonly file: QuestionFile;
  readonly examples: QuestionFile | undefined;
}

/** The subjects of a category: of STEM, for one. */
export interface CategoryResult {
  readonly category: string;
  readonly subjects: number;
  /** All questions of its subjects alike, and the mean over the subjects; as FolderResult has them. */
  readonly accuracy: Interval;
  readonly accuracyNormalized: Interval | undefined;
  readonly macro: number;
  readonly macroNormalized: number | undefined;
}

export interface FolderResult {
  /** All questions of all subjects alike. */
  readonly accuracy: Interval;
  readonly accuracyNormalized: Interval | undefined;
  /** The mean over the subjects. */
  readonly macro: number;
  readonly macroNormalized: number | undefined;
  readonly subjects: readonly SubjectResult[];
  /** What the task's subjects belong to, where any of them is known; those of MMLU, C-Eval and CMMLU are. */
  readonly categories: readonly CategoryResult[];
  /** Those of which no question fits the context. */
  readonly leftOut: readonly string[];
  readonly seconds: number;
}

export interface SubjectResult {
  readonly subject: string;
  readonly result: ChoiceResult;
}

/**
 * Reads a folder with a file for each subject, as MMLU, C-Eval and CMMLU are published.
 * @param dev a folder with examples, whose files are called by the same subjects
 * @returns undefined where `path` is no folder
 * @throws LlqError `bad-input` for files of several formats, a subject without examples, and as readQuestions
 */
export function readQuestionFolder(path: string, dev: string | undefined): SubjectFile[] | undefined {
  const own = filesOf(path);
  if (own === undefined) return undefined;
  if (own.size === 0) throw badInput(t`${path}: no .csv, .json or .jsonl files in it`);
  const shown = dev === undefined ? undefined : filesOf(dev);
  if (dev !== undefined && shown === undefined)
    throw badInput(t`${dev}: is no folder, but the questions are in one`);
  const files = [...own].map(([subject, name]) => {
    const example = shown?.get(subject);
    if (shown !== undefined && example === undefined)
      throw badInput(t`${dev}: no file with examples for ${subject}`);
    return {
      subject,
      file: readQuestions(name),
      examples: example === undefined ? undefined : readQuestions(example),
    };
  });
  const [first] = files;
  const other = files.find(({ file }) => file.task !== first!.file.task);
  if (other === undefined) return files;
  throw badInput(
    t`${other.file.path}: questions of ${other.file.task.name}, but ${first!.file.path} has those of ${first!.file.task.name}`,
  );
}

/** By subject, in the order of the names. */
function filesOf(folder: string): Map<string, string> | undefined {
  const names = listFolder(folder)?.filter((name) => /\.(csv|jsonl?)$/.test(name));
  if (names === undefined) return undefined;
  const files = new Map<string, string>();
  for (const name of names.sort()) {
    const subject = subjectOf(name);
    if (files.has(subject))
      throw badInput(t`${folder}: two files of ${subject}`, t`test and dev belong into folders of their own`);
    files.set(subject, join(folder, name));
  }
  return files;
}

/**
 * Asks the questions of all subjects; `limit` is of each.
 * @param options `onProgress` is called with the subjects that are finished, and all
 * @throws LlqError as evaluateChoice
 */
export async function evaluateChoiceFolder(
  model: Model,
  tokenizer: Tokenizer,
  files: readonly SubjectFile[],
  { onProgress, ...options }: Omit<ChoiceOptions, "examples" | "subject"> = {},
): Promise<FolderResult> {
  const started = performance.now();
  const subjects: SubjectResult[] = [];
  const leftOut: string[] = [];
  for (const { subject, file, examples } of files) {
    const result = await evaluateChoice(model, tokenizer, file, { ...options, examples, mayBeNone: true });
    if (result.questions.length > 0) subjects.push({ subject, result });
    else leftOut.push(subject);
    onProgress?.(subjects.length + leftOut.length, files.length);
  }
  if (subjects.length === 0) throw noneFits(model);
  return folderResult(files[0]!.file.task, subjects, leftOut, (performance.now() - started) / 1000);
}

export function noneFits({ hparams }: Model): Error {
  return badInput(t`no question of any subject fits the model's context of ${hparams.contextLength} tokens`);
}

/** What the subjects of a task come to together; at least one. */
export function folderResult(
  { name }: Pick<Task, "name">,
  subjects: readonly SubjectResult[],
  leftOut: readonly string[],
  seconds: number,
): FolderResult {
  const isHarness = subjects[0]!.result.protocol === "harness";
  const categories = byCategory(categoriesOf(name, isHarness), subjects);
  return { ...averages(subjects), subjects, categories, leftOut, seconds };
}

function byCategory(
  categories: Readonly<Record<string, readonly string[]>>,
  subjects: readonly SubjectResult[],
): CategoryResult[] {
  return Object.entries(categories).flatMap(([category, names]) => {
    const own = subjects.filter(({ subject }) => names.includes(subject));
    return own.length === 0 ? [] : [{ category, subjects: own.length, ...averages(own) }];
  });
}

function averages(subjects: readonly SubjectResult[]) {
  const plain = average(
    subjects.map(({ result }) => ({ share: result.accuracy, of: result.questions.length })),
  );
  const normalized = subjects.flatMap(({ result }) =>
    result.accuracyNormalized === undefined
      ? []
      : [{ share: result.accuracyNormalized, of: result.questions.length }],
  );
  const byLength = normalized.length > 0 ? average(normalized) : undefined;
  return {
    accuracy: plain.micro,
    accuracyNormalized: byLength?.micro,
    macro: plain.macro,
    macroNormalized: byLength?.macro,
  };
}

function average(parts: readonly { readonly share: Interval; readonly of: number }[]) {
  const right = parts.reduce((sum, { share, of }) => sum + Math.round(share.value * of), 0);
  const all = parts.reduce((sum, { of }) => sum + of, 0);
  const macro = parts.reduce((sum, { share }) => sum + share.value, 0) / parts.length;
  return { micro: wilsonInterval(right, all), macro };
}
