import { closeSync, openSync } from "node:fs";
import type { Model } from "../model.js";
import { rowCount, rowLength, type Tensor } from "../tensor.js";
import type { StoredTensor } from "./deviation.js";
import { WorkerPool } from "./pool.js";

/** How far a tensor is from the base's of the same name. */
export interface TensorDeviation {
  readonly name: string;
  readonly layer: number | undefined;
  readonly dtype: string;
  /** Σ(w - ŵ)², ŵ being the model's weights and w the base's. */
  readonly squaredError: number;
  /** Σw² */
  readonly squaredSum: number;
}

export interface DeviationOptions {
  readonly threads?: number | undefined;
  /** Called with the tensors of the base that are done, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Weights in a job: small enough that two f32 copies of them are no burden. */
const JOB_ELEMENTS = 1 << 20;

/**
 * For each model, how far its tensors are from the base's, in the base's order. Tensors that are not in both, or
 * have other shapes (pruned models), are left out. The base is read once for all of them.
 */
export async function measureDeviations(
  base: Model,
  models: readonly Model[],
  { threads, signal, onProgress }: DeviationOptions = {},
): Promise<TensorDeviation[][]> {
  const open = ({ container }: Model) => container.files.map((file) => openSync(file, "r"));
  const baseFiles = open(base);
  const files = models.map(open);
  const byName = models.map(({ tensors }) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  const pool = new WorkerPool(threads);
  const stop = () => void pool.close();
  signal?.addEventListener("abort", stop, { once: true });
  let done = 0;
  const measure = async (tensor: Tensor) => {
    const found = byName.map((tensors) => {
      const other = tensors.get(tensor.name);
      return other?.shape.join() === tensor.shape.join() ? other : undefined;
    });
    const others = found.flatMap((other, i) =>
      other === undefined ? [] : [{ tensor: other, files: files[i]! }],
    );
    const { squaredSum, squaredErrors } = await deviateWhole(pool, { tensor, files: baseFiles }, others);
    onProgress?.(++done, base.tensors.length);
    const { name, layer } = tensor;
    return found.map((other) =>
      other === undefined
        ? undefined
        : { name, layer, dtype: other.dtype, squaredError: squaredErrors.shift()!, squaredSum },
    );
  };
  try {
    signal?.throwIfAborted();
    const all = await Promise.all(base.tensors.map(measure));
    return models.map((_, i) => all.flatMap((of) => of[i] ?? []));
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await pool.close();
    for (const fd of [...baseFiles, ...files.flat()]) closeSync(fd);
  }
}

/** Cut into jobs by a fixed size, so that the sums do not depend on the threads. */
async function deviateWhole(pool: WorkerPool, base: StoredTensor, others: readonly StoredTensor[]) {
  const rows = rowCount(base.tensor);
  const step = Math.max(1, Math.floor(JOB_ELEMENTS / rowLength(base.tensor)));
  const results = await Promise.all(
    Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
      const firstRow = i * step;
      return pool.run({ kind: "deviation", base, others, firstRow, rows: Math.min(step, rows - firstRow) });
    }),
  );
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    squaredSum: sum(results.map((result) => result.squaredSum)),
    squaredErrors: others.map((_, i) => sum(results.map(({ squaredErrors }) => squaredErrors[i]!))),
  };
}
