import { type DTypeName, elementCount } from "../../../formats/dtype.js";
import { badInput } from "../../../formats/errors.js";
import type { Imatrix } from "../../../formats/imatrix/imatrix.js";
import type { Sensitivity } from "../../../formats/sensitivity.js";
import { chooseSearches } from "../../kernels/searches.js";
import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import type { Menu } from "../../quant/by-size/menu.js";
import { checkSensitivity, measuredPrices, type PriceList, priorPrices } from "../../quant/by-size/prices.js";
import { importancesOf } from "../../quant/importance.js";
import type { Descriptors } from "../../rows/rows.js";
import type { WorkerPool } from "../threads/pool.js";
import { type PoolOptions, withFiles, withPool } from "../threads/scope.js";
import { modelFingerprint } from "../write/fingerprint.js";
import type { Trial } from "./trial.js";
import { trialJob } from "./trial.js";

/** The prices do not depend on the number of threads. */
export interface AppraiseOptions extends Pick<PoolOptions, "threads" | "signal"> {
  readonly imatrix?: Imatrix | undefined;
  readonly sensitivity?: Sensitivity | undefined;
  /** Called after each tensor. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * What each type on the menu costs each tensor: errors of some of its rows, weighted by the importance matrix, times
 * what the sensitivity file has measured, or else the priors.
 * @throws LlqError `bad-input` for an importance matrix or a sensitivity file of another model
 */
export async function appraise(model: Model, menu: Menu, options: AppraiseOptions): Promise<PriceList> {
  const { imatrix, sensitivity, onProgress } = options;
  const open = model.tensors.filter((_, i) => menu.settled[i]!.choice === undefined);
  // Before kernels run here; what is tried now will be written.
  const searches = chooseSearches(open.reduce((sum, { shape }) => sum + elementCount(shape), 0));
  if (sensitivity !== undefined) {
    checkSensitivity(model, open, sensitivity);
    checkWeights(model, sensitivity);
  }
  const importances = imatrix && importancesOf(model.tensors, imatrix);
  let done = 0;
  const priceOf = async (pool: WorkerPool, files: Descriptors, i: number) => {
    const tensor = model.tensors[i]!;
    const settled = menu.settled[i]!;
    if (settled.choice !== undefined) return new Map<DTypeName, number>();
    const measured = sensitivity?.tensors.get(tensor.name);
    const now = menu.types[i]!.map((dtype): Trial => ({ dtype, guided: true }));
    const guided = sensitivity?.imatrix !== null;
    const then = [...(measured?.kld.keys() ?? [])].map((dtype): Trial => ({ dtype, guided }));
    const weights = importances?.[i];
    const found = await pool.run(trialJob, { tensor, files, trials: [...now, ...then], weights });
    const errors = { byType: byType(now, found), measured: byType(then, found.slice(now.length)) };
    onProgress?.(++done, open.length);
    // Rows too short for any block were not measured: they stay floats.
    if (sensitivity !== undefined) return measuredPrices(measured ?? { kld: new Map() }, errors);
    return priorPrices(model, tensor, settled, errors);
  };
  const prices = await withFiles((open) => {
    const files = open(model.container.files);
    return withPool({ ...options, searches }, (pool) =>
      Promise.all(model.tensors.map((_, i) => priceOf(pool, files, i))),
    );
  });
  return { kind: sensitivity === undefined ? "prior" : "measured", prices };
}

/** @throws LlqError `bad-input` for other weights in tensors of the same names and shapes */
function checkWeights(model: Model, { file, fingerprint }: Sensitivity): void {
  if (fingerprint === modelFingerprint(model)) return;
  const message = t`${file}: was measured on other weights than those of ${model.path}`;
  throw badInput(message, t`measure this model: llq sensitivity`);
}

function byType(trials: readonly Trial[], errors: readonly number[]): Map<DTypeName, number> {
  return new Map(trials.map(({ dtype }, i) => [dtype, errors[i]!]));
}
