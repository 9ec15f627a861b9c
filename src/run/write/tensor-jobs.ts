import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { TensorPlan } from "../../quant/plan.js";
import type { Descriptors } from "../../rows/rows.js";
import { matrixOf, rowCount } from "../../tensor.js";
import type { WorkerPool } from "../threads/pool.js";
import { checksumJob } from "./checksum.js";
import type { EncodeJob, EncodeResult, EncodeTarget } from "./encode.js";
import { cutRows } from "./row-jobs.js";

/** A file that is open. */
export interface OpenOutput {
  readonly fd: number;
  readonly name: string;
}

/** A tensor as an output is to have it. */
export interface PlacedTensor {
  readonly plan: TensorPlan;
  readonly output: OpenOutput;
}

/** The tensor cut into jobs of whole rows. */
export function encodeJobs(plan: TensorPlan, files: Descriptors, output: OpenOutput): EncodeJob[] {
  return jointJobs([[{ plan, output }]], files);
}

/** The same for a tensor that several outputs have: a target for each of the `kinds`, whose bytes are the same. */
export function jointJobs(kinds: readonly (readonly PlacedTensor[])[], files: Descriptors): EncodeJob[] {
  const { tensor } = kinds[0]![0]!.plan;
  return cutRows(tensor).map(({ firstRow, rows }) => ({
    tensor,
    files,
    firstRow,
    rows,
    targets: kinds.map((places) => targetOf(places, firstRow, rows)),
  }));
}

function targetOf(places: readonly PlacedTensor[], firstRow: number, rows: number): EncodeTarget {
  const { tensor, dtype, weights, byteLength } = places[0]!.plan;
  const rowBytes = byteLength / rowCount(tensor);
  return {
    dtype,
    weights: weights?.slice(matrixOf(tensor, firstRow), matrixOf(tensor, firstRow + rows - 1) + 1),
    outputs: places.map(({ plan, output }) => ({ ...output, offset: plan.offset + firstRow * rowBytes })),
  };
}

/** Whether a tensor's bytes are those that its jobs wrote, by their checksums. */
export async function isIntact(
  pool: WorkerPool,
  tensor: TensorPlan,
  file: OpenOutput,
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
  file: OpenOutput,
  results: readonly EncodeResult[],
): Promise<void> {
  if (await isIntact(pool, tensor, file, results)) return;
  const message = t`${file.name}: tensor ${tensor.tensor.name} reads back other than it was written`;
  throw new LlqError("no-space", message, { hint: t`the disk or its connection is failing` });
}
