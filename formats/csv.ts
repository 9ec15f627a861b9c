import { t } from "../src/language/t.js";
import { badInput } from "./errors.js";

/** A record of a CSV file; a quoted field may go over several lines. */
export interface CsvRecord {
  /** Line where it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** In a file; 2^18 questions of MMLU have fewer. */
const MAX_FIELDS = 2 ** 21;

/**
 * Reads comma-separated values (RFC 4180). Lines may end with or without CR; empty lines are left out.
 * @param name what to call the file in errors
 * @throws LlqError `bad-input`, naming the line, for a stray quote or a record of another length than the first
 */
export function parseCsv(name: string, text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let line = 1;
  let count = 0;
  let at = 0;
  while (at < text.length) {
    const start = line;
    const fields: string[] = [];
    for (let isLast = false; !isLast; ) {
      const end = fieldEnd(text, at);
      const after = text.slice(end, end + 2);
      if (end < 0 || !/^(,|\r?\n|$)/.test(after)) {
        throw badInput(
          t`${name}: line ${line}: a quote that is not closed, or not doubled inside quotes`,
          t`is this a file of comma-separated values?`,
        );
      }
      const field = text.slice(at, end);
      if (++count > MAX_FIELDS) throw badInput(t`${name}: line ${line}: more than ${MAX_FIELDS} fields`);
      fields.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field);
      line += field.split("\n").length - 1;
      isLast = !after.startsWith(",");
      at = end + (after === "\r\n" ? 2 : 1);
    }
    line++;
    if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
  }
  const width = records[0]?.fields.length;
  const odd = records.find((record) => record.fields.length !== width);
  if (odd === undefined) return records;
  throw badInput(t`${name}: line ${odd.line}: ${odd.fields.length} fields, the first record has ${width}`);
}

/** Where the field that begins at `start` ends; -1 if it is in quotes that are not closed. */
function fieldEnd(text: string, start: number): number {
  if (text[start] !== '"') {
    const special = /[",\r\n]/g;
    special.lastIndex = start;
    return special.exec(text)?.index ?? text.length;
  }
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 2)) {
    if (text[quote + 1] !== '"') return quote + 1;
  }
  return -1;
}
