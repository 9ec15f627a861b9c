import * as v from "valibot";
import { EXIT_CODE } from "../../../formats/errors.js";
import { ANSWERED, CHOICE, CHOICE_FOLDER, COMPARISON, GENERATED, PERPLEXITY } from "./evaluate.js";
import { is, maybe, schema, text } from "./fields.js";
import { FIT, HASH_CHECK, HASHES, INSPECTED, METADATA, VALUE } from "./look.js";
import { FINISHED, PART_DONE } from "./parts.js";
import {
  COPIED,
  IMATRIX,
  IMATRIX_STATISTICS,
  PLANNED,
  PLANNED_TOGETHER,
  PUSHED,
  SENSITIVITY,
  VERIFIED,
  WRITTEN,
  WRITTEN_PARTS,
} from "./write.js";

/** Any command that fails before it has printed a result */
export const FAILURE = v.strictObject({
  schema,
  error: v.strictObject({
    code: is(
      v.picklist([...Object.keys(EXIT_CODE), "bug"]),
      "what went wrong; the exit status follows from it",
    ),
    message: text,
    hint: maybe(is(text, "what to do about it")),
    file: maybe(is(text, "that it is about")),
    tensor: maybe(is(text, "that it is about")),
  }),
});

/** Every document, by what prints it. */
export const DOCUMENTS = {
  "convert, quantize": WRITTEN,
  "convert, quantize in several files": WRITTEN_PARTS,
  "quantize --dry-run": PLANNED,
  "quantize --dry-run of several types": PLANNED_TOGETHER,
  imatrix: IMATRIX,
  "imatrix --show-statistics": IMATRIX_STATISTICS,
  sensitivity: SENSITIVITY,
  "eval-ppl": PERPLEXITY,
  compare: COMPARISON,
  "eval-choice": CHOICE,
  "eval-choice of a folder": CHOICE_FOLDER,
  "eval-gen": ANSWERED,
  generate: GENERATED,
  verify: VERIFIED,
  fit: FIT,
  inspect: INSPECTED,
  "inspect --key, meta --key": VALUE,
  meta: METADATA,
  "copy, split, merge, meta -o": COPIED,
  push: PUSHED,
  hash: HASHES,
  "hash --check": HASH_CHECK,
  "any command with --part": PART_DONE,
  "finish of a model": FINISHED,
  "any command that fails": FAILURE,
} as const satisfies Readonly<Record<string, v.GenericSchema>>;
