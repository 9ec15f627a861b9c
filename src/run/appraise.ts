import { closeSync, openSync } from "node:fs";
import type { DTypeName } from "../../formats/dtype.js";
import { badInput } from "../../formats/errors.js";
import type { Imatrix } from "../../formats/imatrix.js";
import type { Sensitivity } from "../../formats/sensitivity.js";
import type { Model } from "../model.js";
import { importancesOf } from "../quant/importance.js";
import type { Menu } from "../quant/menu.js";
import { checkSensitivity, measuredPrices, type PriceList, priorPrices } from "../quant/prices.js";
import { modelFingerprint } from "./fingerprint.js";
import { WorkerPool } from "./pool.js";
import type { Trial } from "./trial.js";

export interface AppraiseOptions {
  readonly imatrix?: Imatrix | undefined;
  readonly sensitivity?: Sensitivity | undefined;
  /** Worker threads; 0 works in this thread. Default: one a core. The prices do not depend on it. */
  readonly threads?: number | undefined;
  /** Called after each tensor. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What each type on the menu costs each tensor: errors of some of its rows, weighted by the importance matrix, times
 * what the sensitivity file has measured, or else the priors.
 * @throws LlqError `bad-input` for an importance matrix or a sensitivity file of another model
 */
export async function appraise(model: Model, menu: Menu, options: AppraiseOptions): Promise<PriceList> {
  const { imatrix, sensitivity, threads, onProgress, signal } = options;
  const open = model.tensors.filter((_, i) => menu.settled[i]!.choice === undefined);
  if (sensitivity !== undefined) {
    checkSensitivity(model, open, sensitivity);
    checkWeights(model, sensitivity);
  }
  const importances = imatrix && importancesOf(model.tensors, imatrix);
  const pool = new WorkerPool(threads);
  const stop = () => void pool.close();
  signal?.addEventListener("abort", stop, { once: true });
  const files = model.container.files.map((file) => openSync(file, "r"));
  let done = 0;
  const priceOf = async (i: number) => {
    const tensor = model.tensors[i]!;
    const settled = menu.settled[i]!;
    if (settled.choice !== undefined) return new Map<DTypeName, number>();
    const measured = sensitivity?.tensors.get(tensor.name);
    const now = menu.types[i]!.map((dtype): Trial => ({ dtype, guided: true }));
    const guided = sensitivity?.imatrix !== null;
    const then = [...(measured?.kld.keys() ?? [])].map((dtype): Trial => ({ dtype, guided }));
    const weights = importances?.[i];
    const found = await pool.run({ kind: "trial", tensor, files, trials: [...now, ...then], weights });
    const errors = { byType: byType(now, found), measured: byType(then, found.slice(now.length)) };
    onProgress?.(++done, open.length);
    if (measured !== undefined) return measuredPrices(measured, errors);
    return priorPrices(model, tensor, settled, errors);
  };
  try {
    signal?.throwIfAborted();
    const prices = await Promise.all(model.tensors.map((_, i) => priceOf(i)));
    return { kind: sensitivity === undefined ? "prior" : "measured", prices };
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await pool.close();
    for (const file of files) closeSync(file);
  }
}

/** @throws LlqError `bad-input` for other weights in tensors of the same names and shapes */
function checkWeights(model: Model, { file, fingerprint }: Sensitivity): void {
  if (fingerprint === modelFingerprint(model)) return;
  const message = `${file}: was measured on other weights than those of ${model.path}`;
  throw badInput(message, "measure this model: llq sensitivity");
}

function byType(trials: readonly Trial[], errors: readonly number[]): Map<DTypeName, number> {
  return new Map(trials.map(({ dtype }, i) => [dtype, errors[i]!]));
}
