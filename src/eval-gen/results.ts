import { readFileSync, statSync } from "node:fs";
import * as v from "valibot";
import { readSmallFile } from "../../formats/bytes.js";
import { badInput } from "../../formats/errors.js";
import { faultsOf } from "../../formats/faults.js";
import { parseJson } from "../../formats/json.js";
import { t } from "../language/t.js";
import type { Answered } from "./evaluate.js";
import type { PairedRun } from "./pairs.js";

/** Of a result file. Grows when a reader of the old form would go wrong. */
export const RESULT_SCHEMA = 1;

const MAX_RESULT_BYTES = 512 << 20;
const MAX_RESULT_VALUES = 2 ** 26;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const answered = v.object({
  id: v.string(),
  group: v.string(),
  prompt: v.string(),
  promptTokens: count,
  tokens: v.array(count),
  text: v.string(),
  finish: v.picklist(["stop", "end", "length", "context"]),
  scores: v.record(v.string(), v.object({ answer: v.string(), isRight: v.boolean() })),
});

const document = v.object({
  kind: v.literal("llq eval-gen"),
  schema: v.literal(RESULT_SCHEMA),
  model: v.string(),
  run: v.string(),
  asked: v.optional(v.string(), ""),
  counts: v.optional(v.string(), ""),
  questions: v.array(answered),
});

/** What `--save` has written: of a whole run, or of one that was stopped. */
export interface SavedRun extends PairedRun {
  readonly model: string;
  /** The same for runs of one model with the same options that matter to an answer. */
  readonly run: string;
}

/** @throws LlqError `bad-input` for what is no such file */
export function readResults(path: string): SavedRun {
  return parse(path, readSmallFile(path, MAX_RESULT_BYTES));
}

/**
 * The same of the file that is written: it is an output, and no input. Undefined where there is none yet.
 * @throws LlqError `bad-input` for what is no such file
 */
export function readOwnResults(path: string): SavedRun | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile() || stat.size > MAX_RESULT_BYTES)
    throw badInput(t`${path}: no result of llq eval-gen --save`);
  return parse(path, readFileSync(path));
}

function parse(path: string, bytes: Uint8Array): SavedRun {
  const value = parseJson(path, bytes, MAX_RESULT_VALUES);
  const result = v.safeParse(document, value);
  if (result.success) return result.output;
  throw badInput(t`${path}: no result of llq eval-gen --save: ${faultsOf(result.issues, 1)}`);
}

/** The file's text. */
export function toResults(
  about: { readonly model: string; readonly run: string },
  questions: readonly Answered[],
  rest: Readonly<Record<string, unknown>> = {},
): string {
  const head = JSON.stringify({ kind: "llq eval-gen", schema: RESULT_SCHEMA, ...about, ...rest });
  const lines = questions.map((each) => JSON.stringify(each));
  return `${head.slice(0, -1)},"questions":[\n${lines.join(",\n")}\n]}\n`;
}
