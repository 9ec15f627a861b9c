import * as v from "valibot";
import { t } from "../src/language/t.js";

/** What is wrong with a value, in words: where, and why; of `most` places. */
export function faultsOf(issues: readonly v.BaseIssue<unknown>[], most = Number.POSITIVE_INFINITY): string {
  const faults = issues.slice(0, most);
  return faults.map((issue) => `${v.getDotPath(issue) ?? t`the whole`}: ${issue.message}`).join("; ");
}
