import { peakResident } from "#host/memory";
import type { Plan, TensorPlan } from "../../quant/plan.js";
import { rowBytes } from "../../rows/rows.js";
import { rowLength } from "../../tensor.js";
import { partOf, rowsOfPiece } from "./encode.js";
import { rowsOfJob } from "./row-jobs.js";

/** A worker before it has any job: its JavaScript engine and the kernels. */
const IDLE_WORKER = 10 << 20;

/** Bytes of memory that executing the plans together takes at most, about: what is in use now, and the workers. */
export function peakMemory(plans: readonly Plan[], threads: number): number {
  const names = new Map<string, TensorPlan[]>();
  for (const each of plans.flatMap(({ tensors }) => tensors)) {
    const { name } = each.tensor;
    names.set(name, [...(names.get(name) ?? []), each]);
  }
  const largest = [...names.values()].reduce((most, each) => Math.max(most, jobMemory(each)), 0);
  return peakResident() + threads * (IDLE_WORKER + largest);
}

/** The rows of a job as they are written, of a piece of it as stored and decoded, and of a part as f32 and as read back. */
function jobMemory(plans: readonly TensorPlan[]): number {
  const { tensor } = plans[0]!;
  const length = rowLength(tensor);
  const rows = rowsOfJob(tensor);
  const piece = rowsOfPiece(tensor, rows);
  const decoded = tensor.sources.some(({ coded }) => coded !== undefined) ? 4 * length : 0;
  return (
    plans.reduce((sum, { dtype }) => sum + rows * rowBytes(tensor, dtype), 0) +
    piece * (rowBytes(tensor, tensor.dtype) + decoded) +
    partOf(tensor, piece) * 8 * length
  );
}
