import { basename, join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import * as v from "valibot";
import { listFolder, readSmallFile } from "../../formats/bytes.js";
import { badInput } from "../../formats/errors.js";
import { faultsOf } from "../../formats/faults.js";
import { isBlank, jsonLines, parseJson } from "../../formats/json.js";
import { t } from "../language/t.js";
import type { ProtocolName, WrittenQuestion, WrittenTask } from "./tasks/types.js";

/** TriviaQA's largest file without evidence has 60 MB. */
const MAX_FILE_BYTES = 128 << 20;
/** The longest published question, of MATH, has 6 kB; TriviaQA's have long lists of aliases. */
const MAX_LINE_BYTES = 1 << 20;
const MAX_QUESTIONS = 2 ** 18;
/** Of JSON, in one question, and in a file that is one document. */
const MAX_QUESTION_VALUES = 4096;
const MAX_FILE_VALUES = 2 ** 22;
/** MATH has 12,500 files in 14 folders. */
const MAX_FOLDER_DEPTH = 3;

/** A question, and where it is from. */
export interface FiledQuestion extends WrittenQuestion {
  /** Tells it from all others of the set. */
  readonly id: string;
  /** What it is a part of: of BBH the task, of MATH the subject; else nothing. */
  readonly group: string;
}

interface Row {
  readonly value: unknown;
  /** In the file, from 1; undefined where the file is the question. */
  readonly line: number | undefined;
}

/**
 * Reads questions: JSON line by line (gzip or not), an array, one document with the questions as `examples` (BBH) or `Data`
 * (TriviaQA), or a folder of such files, each a part of its own.
 * @throws LlqError `bad-input`, naming file and line, for what is none of it, or another task's
 */
export function readWrittenQuestions(
  path: string,
  task: WrittenTask,
  protocol: ProtocolName,
): FiledQuestion[] {
  const names = listFolder(path);
  const files = names === undefined ? [path] : filesOf(path, names, MAX_FOLDER_DEPTH);
  if (files.length === 0) throw badInput(t`${path}: no .json or .jsonl files in it`);
  const questions: FiledQuestion[] = [];
  for (const file of files) {
    const group = names === undefined ? "" : groupOf(path, file);
    for (const row of rowsOf(file)) {
      if (questions.length === MAX_QUESTIONS)
        throw badInput(t`${path}: more than ${MAX_QUESTIONS} questions`);
      const question = read(file, task, row, protocol);
      checkLength(file, row, question);
      const place = row.line === undefined ? relative(path, file) : `${group}${group && ":"}${row.line}`;
      questions.push({ ...question, id: question.name ?? place, group });
    }
  }
  if (questions.length === 0) throw badInput(t`${path}: no questions in it`);
  const ids = new Set<string>();
  for (const { id } of questions) {
    if (ids.has(id)) throw badInput(t`${path}: two questions are called ${id}`);
    ids.add(id);
  }
  return questions;
}

/** A file that is one document has no lines to look at before. */
function checkLength(path: string, { line }: Row, { prompt, target, gold }: WrittenQuestion): void {
  const length = [prompt, target, ...gold].reduce((sum, text) => sum + text.length, 0);
  if (length <= MAX_LINE_BYTES) return;
  const where = line === undefined ? path : t`${path}: question ${line}`;
  throw badInput(t`${where}: ${length} characters; a question has at most ${MAX_LINE_BYTES}`);
}

/** In the order of their names, with numbers in them as numbers: MATH's files are called 1.json to 2500.json. */
function filesOf(folder: string, names: readonly string[], depth: number): string[] {
  const order = new Intl.Collator("en", { numeric: true });
  return [...names].sort(order.compare).flatMap((name) => {
    const path = join(folder, name);
    if (/\.jsonl?(\.gz)?$/.test(name)) return [path];
    const inside = depth > 1 ? listFolder(path) : undefined;
    return inside === undefined ? [] : filesOf(path, inside, depth - 1);
  });
}

/** The file's name, or that of its folder where there is one between. */
function groupOf(folder: string, file: string): string {
  const parts = relative(folder, file).split(/[\\/]/);
  return parts.length > 1 ? parts.slice(0, -1).join("/") : basename(file).replace(/\.jsonl?(\.gz)?$/, "");
}

function rowsOf(path: string): Row[] {
  const bytes = unzipped(path, readSmallFile(path, MAX_FILE_BYTES));
  const first = bytes.findIndex((byte) => byte > 0x20 && byte !== 0xef && byte !== 0xbb && byte !== 0xbf);
  if (first < 0) throw badInput(t`${path}: is empty`);
  const newline = bytes.indexOf(0x0a, first);
  const isOne = bytes[first] === 0x5b || newline < 0 || !endsObject(bytes, newline);
  return isOne ? documentRows(path, bytes) : lineRows(path, bytes);
}

/** Whether a line ends as a JSON object does, so that lines are documents of their own. */
function endsObject(bytes: Uint8Array, newline: number): boolean {
  let at = newline - 1;
  while (at >= 0 && bytes[at]! <= 0x20) at--;
  return bytes[at] === 0x7d;
}

function unzipped(path: string, bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_FILE_BYTES });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw badInput(t`${path}: cannot be unzipped: ${why}`);
  }
}

const nested = v.union([
  v.pipe(
    v.object({ examples: v.array(v.unknown()) }),
    v.transform(({ examples }) => examples),
  ),
  v.pipe(
    v.object({ Data: v.array(v.unknown()) }),
    v.transform(({ Data }) => Data),
  ),
]);

function documentRows(path: string, bytes: Uint8Array): Row[] {
  const value = parseJson(path, bytes, MAX_FILE_VALUES);
  const inner = v.safeParse(nested, value);
  const rows = Array.isArray(value) ? value : inner.success ? inner.output : undefined;
  return rows?.map((row, i) => ({ value: row, line: i + 1 })) ?? [{ value, line: undefined }];
}

function lineRows(path: string, bytes: Uint8Array): Row[] {
  const rows: Row[] = [];
  for (const { line, json } of jsonLines(bytes)) {
    if (json.length > MAX_LINE_BYTES) {
      throw badInput(
        t`${path}: line ${line}: ${json.length} bytes; a question has at most ${MAX_LINE_BYTES}`,
      );
    }
    if (isBlank(json)) continue;
    rows.push({ line, value: parseJson(t`${path}: line ${line}`, json, MAX_QUESTION_VALUES) });
    if (rows.length > MAX_QUESTIONS) throw badInput(t`${path}: more than ${MAX_QUESTIONS} questions`);
  }
  return rows;
}

function read(
  path: string,
  task: WrittenTask,
  { value, line }: Row,
  protocol: ProtocolName,
): WrittenQuestion {
  try {
    return task.question(value, protocol);
  } catch (error) {
    if (!(error instanceof v.ValiError)) throw error;
    const where = line === undefined ? path : t`${path}: line ${line}`;
    const fields = task.fields.length > 0 ? t`${task.title} has ${task.fields.join(", ")}` : undefined;
    throw badInput(t`${where}: no question of ${task.title}: ${faultsOf(error.issues, 3)}`, fields);
  }
}
