import { basename } from "node:path";
import * as v from "valibot";
import { readText } from "../../../formats/bytes.js";
import { parseCsv } from "../../../formats/csv.js";
import { badInput } from "../../../formats/errors.js";
import { parseJson } from "../../../formats/json.js";
import { findTask, MMLU_FIELDS, type Question, TASKS, type Task } from "./tasks.js";

/** The largest published file, HellaSwag's training set, has 50 MB and 40,000 questions. */
const MAX_FILE_BYTES = 64 << 20;
const MAX_QUESTIONS = 2 ** 18;
/** Of JSON, in one question. */
const MAX_QUESTION_VALUES = 256;

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
 * Reads questions from CSV, or JSON line by line (.jsonl); the names of the fields say which format it is.
 * @throws LlqError `bad-input`, naming the line, for what is neither, an unknown format or a row that is none of it
 */
export function readQuestions(path: string): QuestionFile {
  const text = readText(path, MAX_FILE_BYTES).replace(/^\ufeff/, "");
  const rows = text.trimStart().startsWith("{") ? jsonRows(path, text) : csvRows(path, text);
  if (rows.length === 0) throw badInput(`${path}: no questions`);
  const task = findTask(Object(rows[0]!.value));
  if (task === undefined) {
    const known = TASKS.map(({ name, fields }) => `${name} (${fields.join(", ")})`);
    throw badInput(
      `${path}: line ${rows[0]!.line}: fields of no known format`,
      `known are ${known.join("; ")}`,
    );
  }
  return { path, task, questions: rows.map((row) => readQuestion(path, task, row)) };
}

/** What a file is about, from names such as high_school_physics_test.csv. */
export function subjectOf(path: string): string {
  return basename(path)
    .replace(/\.[^.]*$/, "")
    .replace(/_(test|dev|val)$/, "")
    .replaceAll("_", " ");
}

function jsonRows(path: string, text: string): Row[] {
  const rows: Row[] = [];
  let line = 0;
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf("\n", at);
    const end = next < 0 ? text.length : next;
    const json = text.slice(at, end);
    at = end + 1;
    line++;
    if (json.trim() === "") continue;
    if (rows.length === MAX_QUESTIONS)
      throw badInput(`${path}: line ${line}: more than ${MAX_QUESTIONS} questions`);
    rows.push({ line, value: parseJson(`${path}: line ${line}`, Buffer.from(json), MAX_QUESTION_VALUES) });
  }
  return rows;
}

function csvRows(path: string, text: string): Row[] {
  const [first, ...others] = parseCsv(path, text);
  if (first === undefined) return [];
  const isNamed = findTask(toObject(first.fields, first.fields)) !== undefined;
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
  try {
    const question = task.question(value);
    if (question.options[question.answer] !== undefined) return { ...question, line };
  } catch (error) {
    if (!(error instanceof v.ValiError)) throw error;
    const faults = error.issues.map((issue) => `${v.getDotPath(issue) ?? "the whole"}: ${issue.message}`);
    throw badInput(`${path}: line ${line}: no question of ${task.name}: ${faults.slice(0, 3).join("; ")}`);
  }
  throw badInput(`${path}: line ${line}: the right answer is none of the options`);
}
