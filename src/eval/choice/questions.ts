import * as v from "valibot";
import { encodeUtf8 } from "#host/bytes";
import { basename } from "#host/files";
import { readText } from "../../../formats/bytes.js";
import { parseCsv } from "../../../formats/csv.js";
import { badInput } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { isBlank, jsonLines, parseJson } from "../../../formats/json.js";
import { t } from "../../language/t.js";
import { findTask, TASKS } from "./tasks/index.js";
import { CEVAL_TEST_FIELDS, MMLU_FIELDS } from "./tasks/lettered.js";
import type { Question, Task } from "./tasks/types.js";

/** The largest published file, HellaSwag's training set, has 50 MB and 40,000 questions. */
const MAX_FILE_BYTES = 64 << 20;
const MAX_QUESTIONS = 2 ** 18;
/** Of JSON, in one question. */
const MAX_QUESTION_VALUES = 256;
/** The longest published question, of LAMBADA, has 2 kB. */
const MAX_QUESTION_LENGTH = 1 << 20;
/** In a file that is one array; a question of MMLU has 7. */
const MAX_ARRAY_VALUES = 2 ** 21;

export interface QuestionFile {
  readonly path: string;
  readonly task: Task;
  readonly questions: readonly NumberedQuestion[];
}

export interface NumberedQuestion extends Question {
  /** Where it begins in its file, from 1. */
  readonly line: number;
}

interface Row {
  readonly line: number;
  readonly value: unknown;
}

/**
 * Reads questions from CSV, JSON line by line (.jsonl) or one JSON array; the names of the fields say which format it is.
 * @throws LlqError `bad-input`, naming the line, for what is neither, an unknown format or a row that is none of it
 */
export function readQuestions(path: string): QuestionFile {
  const text = readText(path, MAX_FILE_BYTES).replace(/^\ufeff/, "");
  const rows = rowsOf(path, text);
  if (text.trim() === "") throw badInput(t`${path}: is empty`);
  if (rows.length === 0) throw badInput(t`${path}: no questions in it`);
  const first = Object(rows[0]!.value);
  const task = findTask(first);
  if (task === undefined && isCevalTest(first)) {
    throw badInput(
      t`${path}: C-Eval's test questions, whose answers are not published`,
      t`its val files have answers`,
    );
  }
  if (task === undefined) {
    const known = TASKS.map(({ name, fields }) => `${name} (${fields.join(", ")})`);
    throw badInput(
      t`${path}: line ${rows[0]!.line}: fields of no known format`,
      t`known are ${known.join("; ")}`,
    );
  }
  return { path, task, questions: rows.map((row) => readQuestion(path, task, row)) };
}

function isCevalTest(row: object): boolean {
  return CEVAL_TEST_FIELDS.every((field) => field in row);
}

/** What a file is about, from names such as high_school_physics_test.csv: high_school_physics. */
export function subjectOf(path: string): string {
  return basename(path)
    .replace(/\.[^.]*$/, "")
    .replace(/_(test|dev|val)$/, "");
}

function rowsOf(path: string, text: string): Row[] {
  const start = text.trimStart()[0];
  if (start === "[") return arrayRows(path, text);
  return start === "{" ? jsonRows(path, text) : csvRows(path, text);
}

/** Questions count as lines, wherever they stand. */
function arrayRows(path: string, text: string): Row[] {
  const values = parseJson(path, encodeUtf8(text), MAX_ARRAY_VALUES);
  if (!Array.isArray(values)) throw badInput(t`${path}: JSON that is no array of questions`);
  if (values.length > MAX_QUESTIONS) throw badInput(t`${path}: more than ${MAX_QUESTIONS} questions`);
  return values.map((value, i) => ({ line: i + 1, value }));
}

function jsonRows(path: string, text: string): Row[] {
  const rows: Row[] = [];
  for (const { line, json } of jsonLines(encodeUtf8(text))) {
    if (isBlank(json)) continue;
    if (rows.length === MAX_QUESTIONS)
      throw badInput(t`${path}: line ${line}: more than ${MAX_QUESTIONS} questions`);
    rows.push({ line, value: parseJson(t`${path}: line ${line}`, json, MAX_QUESTION_VALUES) });
  }
  return rows;
}

function csvRows(path: string, text: string): Row[] {
  const [first, ...others] = parseCsv(path, text);
  if (first === undefined) return [];
  const names = toObject(first.fields, first.fields);
  const isNamed = findTask(names) !== undefined || isCevalTest(names);
  const hasMmluShape = first.fields.length === MMLU_FIELDS.length && /^[A-D]$/.test(first.fields.at(-1)!);
  if (isNamed || !hasMmluShape) {
    // Of an unknown format, one row shows the fields' names.
    const rows = isNamed ? others : [first];
    return rows.map(({ line, fields }) => ({ line, value: toObject(first.fields, fields) }));
  }
  return [first, ...others].map(({ line, fields }) => ({ line, value: toObject(MMLU_FIELDS, fields) }));
}

function toObject(names: readonly string[], fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, i) => [name, fields[i]!]));
}

function readQuestion(path: string, task: Task, { line, value }: Row): NumberedQuestion {
  const { length } = JSON.stringify(value);
  if (length > MAX_QUESTION_LENGTH) {
    throw badInput(
      t`${path}: line ${line}: ${length} characters; a question has at most ${MAX_QUESTION_LENGTH}`,
    );
  }
  try {
    const question = task.question(value);
    if (question.options[question.answer] !== undefined) return { ...question, line };
  } catch (error) {
    if (!(error instanceof v.ValiError)) throw error;
    throw badInput(t`${path}: line ${line}: no question of ${task.name}: ${faultsOf(error.issues, 3)}`);
  }
  throw badInput(t`${path}: line ${line}: the right answer is none of the options`);
}
