import type { Plan, TensorPlan } from "../../quant/plan.js";
import { rowBytes } from "../../rows/rows.js";
import { rowLength } from "../../tensor.js";
import { partOf, rowsOfPiece } from "./encode.js";
import { rowsOfJob } from "./row-jobs.js";

/** A worker before it has any job: its JavaScript engine and the kernels. */
const IDLE_WORKER = 10 << 20;

/** Bytes of memory that executing the plan takes at most, about: what is in use now, and the workers. */
export function peakMemory(plan: Plan, threads: number): number {
  const { maxRSS } = process.resourceUsage(); // in KiB
  const largest = plan.tensors.reduce((most, tensor) => Math.max(most, jobMemory(tensor)), 0);
  return maxRSS * 1024 + threads * (IDLE_WORKER + largest);
}

/** The rows of a job as they are written, of a piece of it as stored and decoded, and of a part as f32 and as read back. */
function jobMemory({ tensor, dtype }: TensorPlan): number {
  const length = rowLength(tensor);
  const rows = rowsOfJob(tensor);
  const piece = rowsOfPiece(tensor, rows);
  const decoded = tensor.sources.some(({ coded }) => coded !== undefined) ? 4 * length : 0;
  return (
    rows * rowBytes(tensor, dtype) +
    piece * (rowBytes(tensor, tensor.dtype) + decoded) +
    partOf(tensor, piece) * 8 * length
  );
}
