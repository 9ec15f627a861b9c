import { t } from "../../language/t.js";
import type { Model } from "../../model.js";
import { CALIBRATION_KEY } from "../../quant/metadata.js";
import { storedType } from "../../rows/packed/index.js";
import { timesOf } from "../../rows/packed/times.js";
import type { Descriptors } from "../../rows/rows.js";
import { rowCount, type Tensor } from "../../tensor.js";
import type { WorkerPool } from "../threads/pool.js";
import { type PoolOptions, withFiles, withPool } from "../threads/scope.js";
import { cutRows } from "../write/row-jobs.js";
import type { CompareResult } from "./compare.js";
import { compareJob } from "./compare.js";

/** What became of one tensor. */
export interface TensorVerdict {
  readonly name: string;
  readonly dtype: string;
  /** `identical`: byte for byte what quantizing afresh gives; `close`: as near to the source as that. */
  readonly verdict: "identical" | "close" | "wrong";
  /** What is wrong, in words. */
  readonly faults: readonly string[];
  /** sqrt(Σ(w - ŵ)² / Σw²) */
  readonly relativeError: number;
}

export interface VerifyOptions extends Pick<PoolOptions, "threads" | "signal"> {
  /** The source's tensors to look at. Default: all. */
  readonly tensors?: readonly Tensor[] | undefined;
  /** Called with each verdict as it is found. */
  readonly onVerdict?: ((tensor: Tensor, verdict: TensorVerdict) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * How much larger than that of quantizing afresh a tensor's RMS error may be. An importance matrix trades
 * plain error for weighted error, at most by about a third; a spoilt scale is off by far more.
 */
const ERROR_BOUND = 2;
/** The same with error feedback, which makes weights up for what other weights have lost, wherever they were. */
const CALIBRATED_BOUND = 8;

/** Whether a file says that it was rounded with error feedback. */
export function isCalibrated({ metadata }: Pick<Model, "metadata">): boolean {
  return metadata.has(CALIBRATION_KEY);
}

/** What f32 leaves of a weight whose factor stands apart: both sides multiply, in another order. */
const FACTOR_ERROR = 2 ** -23;

/** Compares every tensor of a written model with the model it was made from, or those that are asked for. */
export async function verify(
  written: Model,
  source: Model,
  options: VerifyOptions = {},
): Promise<TensorVerdict[]> {
  const { tensors = source.tensors } = options;
  const bound = isCalibrated(written) ? CALIBRATED_BOUND : ERROR_BOUND;
  const verdicts = await withFiles((open) => {
    const [writtenFiles, sourceFiles] = [open(written.container.files), open(source.container.files)];
    let done = 0;
    return withPool(options, (pool) =>
      Promise.all(
        tensors.map(async (tensor) => {
          const found = written.tensors.find(({ name }) => name === tensor.name);
          const verdict = await judge(pool, tensor, found, sourceFiles, writtenFiles, bound);
          options.onVerdict?.(tensor, verdict);
          options.onProgress?.(++done, tensors.length);
          return verdict;
        }),
      ),
    );
  });
  return options.tensors === undefined ? [...verdicts, ...surplusOf(written, source)] : verdicts;
}

/** Verdicts on tensors that the source has not. */
export function surplusOf(written: Model, source: Model): TensorVerdict[] {
  const names = new Set(source.tensors.map(({ name }) => name));
  const surplus = written.tensors.filter(({ name }) => !names.has(name));
  return surplus.map((tensor) => wrong(tensor, t`is not in the source`));
}

async function judge(
  pool: WorkerPool,
  source: Tensor,
  written: Tensor | undefined,
  sourceFiles: Descriptors,
  writtenFiles: Descriptors,
  bound: number,
): Promise<TensorVerdict> {
  if (written === undefined) return wrong(source, t`is missing`);
  if (written.shape.join() !== source.shape.join()) {
    return wrong(written, t`is ${written.shape.join(" x ")} instead of ${source.shape.join(" x ")}`);
  }
  const job = { written, writtenFiles, source, sourceFiles };
  const results = await Promise.all(cutRows(source).map((rows) => pool.run(compareJob, { ...job, ...rows })));
  return verdictOf(written, rowCount(source), results, bound);
}

function verdictOf(
  written: Tensor,
  rows: number,
  results: readonly CompareResult[],
  bound: number,
): TensorVerdict {
  const { name } = written;
  const dtype = storedType(written);
  const slack = written.sources.some(timesOf) ? FACTOR_ERROR : Number.EPSILON;
  const sum = (of: (result: CompareResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const squaredSum = sum((result) => result.squaredSum);
  const relative = (squared: number) => (squaredSum > 0 ? Math.sqrt(squared / squaredSum) : 0);
  const relativeError = relative(sum((result) => result.squaredError));
  const fresh = relative(sum((result) => result.freshSquaredError));
  const nonFinite = sum((result) => result.nonFinite);
  const faults: string[] = [];
  if (nonFinite > 0) faults.push(t`${nonFinite} weights are infinite or NaN`);
  if (squaredSum > 0 && results.every((result) => result.allZero)) faults.push(t`every weight is zero`);
  if (!(relativeError <= bound * fresh + slack)) {
    faults.push(
      t`relative RMS error ${relativeError.toPrecision(3)}, quantizing afresh gives ${fresh.toPrecision(3)}`,
    );
  }
  const identical = sum((result) => result.identicalRows) === rows;
  const verdict = faults.length > 0 ? "wrong" : identical ? "identical" : "close";
  return { name, dtype, verdict, faults, relativeError };
}

function wrong({ name, dtype }: Tensor, fault: string): TensorVerdict {
  return { name, dtype, verdict: "wrong", faults: [fault], relativeError: Number.NaN };
}
