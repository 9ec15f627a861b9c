import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { VERIFIED } from "../../report/documents/write.js";
import type { TensorVerdict } from "../../run/measure/verify.js";
import { printJson, printLine } from "../../ui.js";

/**
 * Prints what was found.
 * @param isBoundOnly weights were rounded with error feedback, and that was not done again
 * @throws LlqError `gate` when something is wrong
 */
export function printVerdicts(
  path: string,
  verdicts: readonly TensorVerdict[],
  { json, isBoundOnly }: { readonly json?: boolean | undefined; readonly isBoundOnly: boolean },
): void {
  const wrong = verdicts.filter(({ verdict }) => verdict === "wrong");
  const identical = verdicts.filter(({ verdict }) => verdict === "identical");
  if (json)
    printJson<typeof VERIFIED>({ schema: 1, file: path, passed: wrong.length === 0, tensors: [...verdicts] });
  else for (const { name, dtype, faults } of wrong) printLine(`${name} (${dtype}): ${faults.join("; ")}`);
  if (wrong.length > 0) {
    throw new LlqError("gate", t`${path}: ${wrong.length} of ${verdicts.length} tensors are wrong`);
  }
  if (json) return;
  const close = verdicts.length - identical.length;
  if (isBoundOnly) {
    printLine(
      t`rounded with error feedback: types, shapes and bounds were compared; --calibrate does it again`,
    );
  }
  printLine(
    t`${path}: ${verdicts.length} tensors are right, ${identical.length} to the byte, ${close} within bounds`,
  );
}
