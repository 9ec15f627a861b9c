import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { planChoices } from "../../quant/plan.js";
import { findRecipe } from "../../quant/recipes/recipes.js";
import { type Descriptors, readStoredRows, rowBytes } from "../../rows/rows.js";
import { type TensorVerdict, verify } from "../../run/measure/verify.js";
import { withFiles } from "../../run/threads/scope.js";
import { cutRows } from "../../run/write/row-jobs.js";
import type { Tensor } from "../../tensor.js";
import { calibrate } from "./calibrate.js";
import type { CalibrateOptions } from "./options.js";
import type { CalibrationChunks } from "./text.js";

export interface RecomputeOptions extends Omit<CalibrateOptions, "scratch" | "resume" | "force"> {
  /** What the file was planned with; its values matter only with `keepImportances`. */
  readonly imatrix: Imatrix;
  /** A folder for what does not stay in memory. */
  readonly folder?: string | undefined;
}

/**
 * As verify, but the tensors that error feedback has rounded are rounded again, by the same text, and have to be the same
 * to the byte.
 * @throws LlqError as calibrate
 */
export async function recompute(
  written: Model,
  source: Model,
  chunks: CalibrationChunks,
  { imatrix, folder = tmpdir(), ...options }: RecomputeOptions,
): Promise<TensorVerdict[]> {
  const verdicts = await verify(written, source, { threads: options.threads, signal: options.signal });
  const found = new Map(written.tensors.map((tensor) => [tensor.name, tensor]));
  const choices = source.tensors.map((tensor) => ({
    dtype: found.get(tensor.name)?.dtype ?? tensor.dtype,
    ...{ reason: t`as in the file`, fellBack: false },
  }));
  const planning = { imatrix, guide: imatrix, allowRequantize: true };
  const plan = planChoices(source, findRecipe("Q8_0"), choices, planning);
  const own = mkdtempSync(join(folder, "llq-verify-"));
  try {
    const scratch = join(own, "rounded");
    const output = join(own, "output");
    const calibration = await calibrate(source, plan, output, chunks, { ...options, scratch });
    const rounded = new Map(
      calibration.apply(plan).tensors.map(({ tensor }) => [tensor.name, tensor] as const),
    );
    const names = new Set(calibration.reports.map(({ name }) => name));
    return await withFiles(async (open) => {
      const [files, writtenFiles] = [open([...plan.files, scratch]), open(written.container.files)];
      return verdicts.map((verdict) => {
        const { name } = verdict;
        const tensor = found.get(name);
        if (!names.has(name) || tensor === undefined || verdict.verdict === "wrong") return verdict;
        return sameBytes(rounded.get(name)!, files, tensor, writtenFiles)
          ? { ...verdict, verdict: "identical" as const }
          : { ...verdict, verdict: "wrong" as const, faults: [t`is not what calibrating afresh gives`] };
      });
    });
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function sameBytes(a: Tensor, aFiles: Descriptors, b: Tensor, bFiles: Descriptors): boolean {
  const kernels = new Kernels();
  const size = rowBytes(a, a.dtype);
  return cutRows(a).every(({ firstRow, rows }) => {
    kernels.reset();
    const [own, other] = [kernels.reserve(rows * size), kernels.reserve(rows * size)];
    readStoredRows(kernels, aFiles, a, firstRow, rows, own);
    readStoredRows(kernels, bFiles, b, firstRow, rows, other);
    return Buffer.compare(kernels.bytes(own, rows * size), kernels.bytes(other, rows * size)) === 0;
  });
}
