import type { Model } from "../../model.js";
import type { Descriptors } from "../../rows/rows.js";
import type { Tensor } from "../../tensor.js";
import type { WorkerPool } from "../threads/pool.js";
import { type PoolOptions, withFiles, withPool } from "../threads/scope.js";
import { cutRows } from "../write/row-jobs.js";
import type { StoredTensor } from "./deviation.js";
import { deviationJob } from "./deviation.js";

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

export interface DeviationOptions extends Pick<PoolOptions, "threads" | "signal"> {
  /** Called with the tensors of the base that are done, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * For each model, how far its tensors are from the base's, in the base's order. Tensors that are not in both, or
 * have other shapes (pruned models), are left out. The base is read once for all of them.
 */
export async function measureDeviations(
  base: Model,
  models: readonly Model[],
  options: DeviationOptions = {},
): Promise<TensorDeviation[][]> {
  const byName = models.map(({ tensors }) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  let done = 0;
  const measure = async (pool: WorkerPool, tensor: Tensor, baseFiles: Descriptors, files: Descriptors[]) => {
    const found = byName.map((tensors) => {
      const other = tensors.get(tensor.name);
      return other?.shape.join() === tensor.shape.join() ? other : undefined;
    });
    const others = found.flatMap((other, i) =>
      other === undefined ? [] : [{ tensor: other, files: files[i]! }],
    );
    const { squaredSum, squaredErrors } = await deviateWhole(pool, { tensor, files: baseFiles }, others);
    options.onProgress?.(++done, base.tensors.length);
    const { name, layer } = tensor;
    return found.map((other) =>
      other === undefined
        ? undefined
        : { name, layer, dtype: other.dtype, squaredError: squaredErrors.shift()!, squaredSum },
    );
  };
  const all = await withFiles((open) => {
    const baseFiles = open(base.container.files);
    const files = models.map(({ container }) => open(container.files));
    return withPool(options, (pool) =>
      Promise.all(base.tensors.map((tensor) => measure(pool, tensor, baseFiles, files))),
    );
  });
  return models.map((_, i) => all.flatMap((of) => of[i] ?? []));
}

/** Cut into jobs by a fixed size, so that the sums do not depend on the threads. */
async function deviateWhole(pool: WorkerPool, base: StoredTensor, others: readonly StoredTensor[]) {
  const job = { base, others };
  const results = await Promise.all(
    cutRows(base.tensor).map((rows) => pool.run(deviationJob, { ...job, ...rows })),
  );
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    squaredSum: sum(results.map((result) => result.squaredSum)),
    squaredErrors: others.map((_, i) => sum(results.map(({ squaredErrors }) => squaredErrors[i]!))),
  };
}
