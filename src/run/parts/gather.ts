import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { type FoundRecord, foreignPart, listRecords, readBegun, startOver } from "./record.js";

/**
 * The records of all parts of an output, in order.
 * @throws LlqError `usage` when there are none, some are missing or not complete, or they are not of one piece of work;
 * `bad-input` for one that is damaged
 */
export function gatherParts(output: string): FoundRecord[] {
  const listed = listRecords(output);
  const refuse = (message: string, hint: string) => new LlqError("usage", `${output}: ${message}`, { hint });
  const count = listed[0]?.count;
  if (count === undefined) {
    throw refuse(
      t`no part of it is there`,
      t`name what the parts were given by -o, in the folder they wrote to`,
    );
  }
  const other = listed.find((each) => each.count !== count);
  if (other !== undefined) {
    throw refuse(t`there are parts of ${count} and of ${other.count}`, startOver(output));
  }
  const numbers = new Set(listed.map(({ no }) => no));
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((no) => !numbers.has(no));
  if (missing.length > 0) {
    throw refuse(t`${these(missing, count)} not there`, t`run what is missing, then finish again`);
  }
  if (numbers.has(0) || numbers.size > count)
    throw refuse(t`its parts are not numbered from 1`, startOver(output));
  const records = listed.flatMap(({ path, no }) => {
    const found = readBegun(path) ?? [];
    if (Array.isArray(found) || (found.no === no && found.count === count)) return found;
    throw refuse(t`${path} says that it is part ${found.no} of ${found.count}`, startOver(output));
  });
  for (const { no, fingerprint, kind } of records) {
    if (fingerprint !== records[0]!.fingerprint || kind !== records[0]!.kind)
      throw foreignPart(output, no, count);
  }
  const complete = new Set(records.filter(({ seconds }) => seconds !== undefined).map(({ no }) => no));
  const open = listed.map(({ no }) => no).filter((no) => !complete.has(no));
  if (open.length === 0) return records;
  throw refuse(
    t`${these(open, count)} not complete`,
    t`run it again with the same options: it goes on where it was stopped`,
  );
}

function these(numbers: readonly number[], count: number): string {
  if (numbers.length === 1) return t`part ${numbers[0]} of ${count} is`;
  const more = numbers.length > 10 ? t` and ${numbers.length - 10} more` : "";
  return t`parts ${numbers.slice(0, 10).join(", ")}${more} of ${count} are`;
}
