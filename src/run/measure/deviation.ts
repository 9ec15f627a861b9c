import type { Kernels } from "../../kernels/kernels.js";
import { checkFinite } from "../../rows/finite.js";
import { type Descriptors, readRowsF32 } from "../../rows/rows.js";
import { rowLength, type Tensor } from "../../tensor.js";
import { aboutRows, type JobKind } from "../threads/messages.js";

/** A tensor, and the open files it is in. Plain data. */
export interface StoredTensor {
  readonly tensor: Tensor;
  readonly files: Descriptors;
}

/** Work for one thread: how far rows of some tensors are from those of the same tensor in a base. Plain data. */
export interface DeviationJob {
  readonly base: StoredTensor;
  /** All of the base's shape. */
  readonly others: readonly StoredTensor[];
  readonly firstRow: number;
  readonly rows: number;
}

export interface DeviationResult {
  /** Σw² of the base. */
  readonly squaredSum: number;
  /** Σ(w - ŵ)² of each of the others. */
  readonly squaredErrors: readonly number[];
}

/** Σ(w - ŵ)² f64, Σw² f64, max |w - ŵ| f32 (assembly/ops/rows.ts). */
const STATS_SIZE = 24;

export function deviate({ base, others, firstRow, rows }: DeviationJob, kernels: Kernels): DeviationResult {
  kernels.reset();
  const n = rows * rowLength(base.tensor);
  const w = kernels.reserve(n * 4);
  const other = kernels.reserve(n * 4);
  const stats = kernels.reserve(STATS_SIZE);
  const read = ({ tensor, files }: StoredTensor, address: number) => {
    readRowsF32(kernels, files, tensor, firstRow, rows, address);
    checkFinite(kernels, tensor, address, n, firstRow);
  };
  read(base, w);
  let squaredSum = 0;
  const squaredErrors = others.map((one) => {
    read(one, other);
    kernels.bytes(stats, STATS_SIZE).fill(0);
    kernels.call("error_stats")(w, other, n, stats);
    const view = new DataView(kernels.memory.buffer, stats, STATS_SIZE);
    squaredSum = view.getFloat64(8, true);
    return view.getFloat64(0, true);
  });
  return { squaredSum, squaredErrors };
}

export const deviationJob: JobKind<DeviationJob, DeviationResult> = {
  name: "deviation",
  run: deviate,
  about: ({ base, firstRow, rows }) => aboutRows(base.tensor, firstRow, rows),
};
