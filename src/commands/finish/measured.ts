import { mergeImatrices } from "../../../formats/imatrix/imatrix-merge.js";
import { sensitivityFile } from "../../../formats/sensitivity.js";
import { imatrixBytes } from "../../eval/imatrix/imatrix-file.js";
import { finishImatrix } from "../../eval/parts/imatrix.js";
import { finishSensitivity } from "../../eval/parts/sensitivity.js";
import type { IMATRIX, SENSITIVITY } from "../../report/documents/write.js";
import { removeRecords, secondsOf } from "../../run/parts/record.js";
import { claimOutputs } from "../../run/write/claim.js";
import { writeOutput } from "../../run/write/output.js";
import { printJson } from "../../ui.js";
import { printImatrix } from "../printed/imatrix.js";
import { printSensitivity, sensitivityDocument } from "../printed/sensitivity.js";
import type { Kind } from "./types.js";

/** An importance matrix. */
export const imatrix: Kind = {
  takes: [],
  finish: (output, records, { force = false, json }) => {
    const found = finishImatrix(records);
    const { entries, form, ...about } = found;
    const bytes = imatrixBytes(mergeImatrices([{ name: output, imatrix: found }], about.chunkSize), form);
    writeResult(output, bytes, force);
    const written = { output, byteLength: bytes.length, entries: entries.size, ...about };
    if (json) printJson<typeof IMATRIX>({ schema: 1, ...written, seconds: secondsOf(records) });
    else printImatrix({ ...written, computed: undefined });
  },
};

/** What rounding each tensor does. */
export const sensitivity: Kind = {
  takes: [],
  finish: (output, records, { force = false, json }) => {
    const { model, sensitivity } = finishSensitivity(output, records);
    writeResult(output, sensitivityFile(sensitivity), force);
    const roundings = [...sensitivity.tensors.values()].reduce((sum, { kld }) => sum + kld.size, 0);
    const written = {
      ...{ output, sensitivity, roundings, resumed: 0 },
      runs: roundings * sensitivity.chunks,
      seconds: secondsOf(records),
    };
    if (json) printJson<typeof SENSITIVITY>(sensitivityDocument(model, written));
    else printSensitivity(written);
  },
};

function writeResult(output: string, bytes: Uint8Array, force: boolean): void {
  const claim = claimOutputs([output], { force });
  try {
    writeOutput(output, bytes, force);
    removeRecords(output);
  } finally {
    claim.release();
  }
}
