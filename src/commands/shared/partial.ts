import { existsSync } from "node:fs";
import { t } from "../../language/t.js";
import { journalPath, partialPath } from "../../run/write/claim.js";
import { warn } from "../../ui.js";

/** Says when what a stopped run has left of this output is about to go. */
export function warnOfPartial(output: string, { resume }: { readonly resume?: boolean | undefined }): void {
  const left = [partialPath(output), journalPath(output)].find((path) => existsSync(path));
  if (resume === true || left === undefined) return;
  warn(t`${left}: of a run that was stopped; it begins anew, where --resume would have gone on`);
}
