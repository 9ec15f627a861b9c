import { LlqError } from "../../../formats/errors.js";
import type { TensorPlan } from "../../quant/plan.js";
import type { Descriptors } from "../../rows/rows.js";
import { matrixOf, rowCount } from "../../tensor.js";
import type { WorkerPool } from "../threads/pool.js";
import { checksumJob } from "./checksum.js";
import type { EncodeJob, EncodeResult } from "./encode.js";
import { cutRows } from "./row-jobs.js";

/** The tensor cut into jobs of whole rows. */
export function encodeJobs(
  { tensor, dtype, weights, offset, byteLength }: TensorPlan,
  files: Descriptors,
  output: { readonly fd: number; readonly name: string },
): EncodeJob[] {
  const rowBytes = byteLength / rowCount(tensor);
  return cutRows(tensor).map(({ firstRow, rows }) => ({
    tensor,
    files,
    dtype,
    firstRow,
    rows,
    weights: weights?.slice(matrixOf(tensor, firstRow), matrixOf(tensor, firstRow + rows - 1) + 1),
    output: { ...output, offset: offset + firstRow * rowBytes },
  }));
}

/** Whether a tensor's bytes are those that its jobs wrote, by their checksums. */
export async function isIntact(
  pool: WorkerPool,
  tensor: TensorPlan,
  file: { readonly fd: number; readonly name: string },
  results: readonly EncodeResult[],
): Promise<boolean> {
  let { offset } = tensor;
  const regions = results.map(({ byteLength }) => {
    const region = { file, offset, byteLength };
    offset += byteLength;
    return region;
  });
  if (offset !== tensor.offset + tensor.byteLength) return false;
  const checksums = await Promise.all(regions.map((region) => pool.run(checksumJob, region)));
  return checksums.every(({ checksum }, i) => checksum === results[i]!.checksum);
}

/** @throws LlqError `no-space` when a tensor's bytes are not those that were written */
export async function checkTensor(
  pool: WorkerPool,
  tensor: TensorPlan,
  file: { readonly fd: number; readonly name: string },
  results: readonly EncodeResult[],
): Promise<void> {
  if (await isIntact(pool, tensor, file, results)) return;
  const message = `${file.name}: tensor ${tensor.tensor.name} reads back other than it was written`;
  throw new LlqError("no-space", message, { hint: "the disk or its connection is failing" });
}
