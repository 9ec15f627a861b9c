import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { elementCount } from "../../formats/dtype.js";
import { LlqError, systemErrorCode } from "../../formats/errors.js";
import type { Plan, TensorPlan } from "../quant/plan.js";
import { rowCount, rowLength } from "../tensor.js";
import { type EncodeJob, type EncodeResult, writeError, writeFully } from "./encode.js";
import { WorkerPool } from "./pool.js";

export interface ExecuteOptions {
  /** Worker threads; 0 works in this thread. Default: one a core. The bytes do not depend on it. */
  readonly threads?: number | undefined;
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Called as weights are done, at most once a job. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops the work: what was written goes away, and the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** How well one tensor survived. */
export interface TensorReport {
  readonly name: string;
  readonly dtype: string;
  /** sqrt(Σ(w - ŵ)² / Σw²); 0 when nothing was lost */
  readonly relativeError: number;
  /** Largest |w - ŵ| */
  readonly maxError: number;
}

export interface Summary {
  readonly output: string;
  readonly byteLength: number;
  readonly elements: number;
  readonly seconds: number;
  readonly tensors: readonly TensorReport[];
}

/** Weights in a job. Fixed, so that sums over jobs do not depend on the number of threads. */
const JOB_ELEMENTS = 1 << 20;

/**
 * Writes the planned file. It appears under its name only when it is complete; until then it is
 * `<output>.partial` beside it, which goes away on failure.
 * @throws LlqError `usage` for an output that exists or is an input, `no-space` for a full disk, `bad-input`
 * for weights that cannot be read or are not finite
 */
export async function execute(plan: Plan, output: string, options: ExecuteOptions = {}): Promise<Summary> {
  checkOutput(plan, output, options.force === true);
  const started = performance.now();
  const partial = `${output}.partial`;
  const files: number[] = [];
  let fd: number | undefined;
  try {
    for (const file of plan.files) files.push(openSync(file, "r"));
    fd = createOutput(partial, plan.byteLength);
    writeFully({ fd, name: output, offset: 0 }, plan.header);
    const tensors = await runJobs(plan, files, fd, output, options);
    finishOutput(fd, output, plan.byteLength);
    closeSync(fd);
    fd = undefined;
    renameSync(partial, output);
    syncFolder(dirname(output));
    const elements = plan.tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
    const seconds = (performance.now() - started) / 1000;
    return { output, byteLength: plan.byteLength, elements, seconds, tensors };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    rmSync(partial, { force: true });
    throw error;
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Refuses, before any work, an output that exists, is one of the inputs, or cannot fit the disk. */
export function checkOutput(plan: Plan, output: string, force: boolean): void {
  const folder = dirname(output);
  if (!existsSync(folder)) {
    throw new LlqError("usage", `${output}: the folder ${folder} does not exist`, {
      hint: `mkdir -p ${folder}`,
    });
  }
  if (existsSync(output)) {
    const { ino, dev } = statSync(output);
    const same = plan.files.find((file) => statSync(file).ino === ino && statSync(file).dev === dev);
    if (same !== undefined) {
      throw new LlqError("usage", `${output}: is an input too`, {
        hint: "choose another name: inputs are never overwritten",
      });
    }
    if (!force) throw new LlqError("usage", `${output}: exists already`, { hint: "--force replaces it" });
    if (!statSync(output).isFile()) throw new LlqError("usage", `${output}: is not a regular file`);
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < plan.byteLength) {
    const message = `${output}: needs ${plan.byteLength} bytes, but ${realpathSync(folder)} has ${bavail * bsize} free`;
    throw new LlqError("no-space", message, { hint: "free some space or choose another output folder" });
  }
}

function createOutput(partial: string, byteLength: number): number {
  try {
    const fd = openSync(partial, "w+");
    ftruncateSync(fd, byteLength);
    return fd;
  } catch (cause) {
    throw writeError(partial, cause);
  }
}

async function runJobs(
  plan: Plan,
  files: readonly number[],
  fd: number,
  name: string,
  { threads, onProgress, signal }: ExecuteOptions,
): Promise<TensorReport[]> {
  const total = plan.tensors.reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
  let done = 0;
  const pool = new WorkerPool(threads);
  const run = async (job: EncodeJob): Promise<EncodeResult> => {
    const result = await pool.run(job);
    done += job.rows * rowLength(job.tensor);
    onProgress?.(done, total);
    return result;
  };
  try {
    const results = await unlessAborted(
      signal,
      Promise.all(
        plan.tensors.map((tensor) => Promise.all(encodeJobs(tensor, files, { fd, name }).map(run))),
      ),
    );
    return plan.tensors.map((tensorPlan, i) => report(tensorPlan, results[i]!));
  } finally {
    await pool.close();
  }
}

function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  const aborted = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([work, aborted]);
}

/** The tensor cut into jobs of whole rows. */
export function encodeJobs(
  { tensor, dtype, offset, byteLength }: TensorPlan,
  files: readonly number[],
  output: { readonly fd: number; readonly name: string },
): EncodeJob[] {
  const rows = rowCount(tensor);
  const step = Math.max(1, Math.floor(JOB_ELEMENTS / rowLength(tensor)));
  const rowBytes = byteLength / rows;
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({
    kind: "encode" as const,
    tensor,
    files,
    dtype,
    firstRow: i * step,
    rows: Math.min(step, rows - i * step),
    output: { ...output, offset: offset + i * step * rowBytes },
  }));
}

function report({ tensor, dtype }: TensorPlan, results: readonly EncodeResult[]): TensorReport {
  const sum = (of: (result: EncodeResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const squaredSum = sum((result) => result.squaredSum);
  return {
    name: tensor.name,
    dtype,
    relativeError: squaredSum > 0 ? Math.sqrt(sum((result) => result.squaredError) / squaredSum) : 0,
    maxError: results.reduce((largest, result) => Math.max(largest, result.maxError), 0),
  };
}

function finishOutput(fd: number, name: string, byteLength: number): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw writeError(name, cause);
  }
  const { size } = fstatSync(fd);
  if (size === byteLength) return;
  throw new LlqError("no-space", `${name}: ${byteLength} bytes were written, but the file has ${size}`);
}

/** Makes the rename last through a power cut, where the system allows to sync a folder. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, "r");
    fsyncSync(fd);
    closeSync(fd);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "EPERM" && code !== "EISDIR" && code !== "EINVAL" && code !== "EACCES") throw error;
  }
}
