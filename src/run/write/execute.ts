import { createHash } from "node:crypto";
import { closeSync, existsSync, rmSync } from "node:fs";
import { LlqError } from "../../../formats/errors.js";
import { checkInputs, type FileStamp } from "../../../formats/inputs.js";
import { type Plan, planElements, type TensorPlan } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import type { Descriptors } from "../../rows/rows.js";
import { rowLength } from "../../tensor.js";
import { VERSION } from "../../version.js";
import type { WorkerPool } from "../threads/pool.js";
import { type PoolOptions, withFiles, withPool } from "../threads/scope.js";
import { claimOutputs, journalPath, partialPath } from "./claim.js";
import { type EncodeResult, encodeJob, writeFully } from "./encode.js";
import { type Finished, fileIdentity, Journal, readJournal, removeJournal } from "./journal.js";
import { Flusher, isResumable, openPartial, publish, settle, withResumeHint } from "./output.js";
import { checkTensor, encodeJobs, isIntact } from "./tensor-jobs.js";

/** The bytes do not depend on the number of threads. */
export interface ExecuteOptions extends Pick<PoolOptions, "threads" | "signal"> {
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Go on where a run with the same plan was stopped. */
  readonly resume?: boolean | undefined;
  /** Called as weights are done, at most once a job. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
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
  /** Tensors that an earlier run had finished. */
  readonly resumed: number;
  readonly tensors: readonly TensorReport[];
}

/**
 * Writes the planned file. Until it is complete and every region has been read back and compared, it is
 * `<output>.partial` beside a journal of what is done. Both stay when the work was stopped or the disk was
 * full, for `resume`; both go when the input is at fault.
 * @throws LlqError `usage` for an output that exists or is an input, `no-space` for a full disk, `bad-input`
 * for weights that cannot be read or are not finite, and the reason of `signal`
 */
export async function execute(plan: Plan, output: string, options: ExecuteOptions = {}): Promise<Summary> {
  const [summary] = await executeParts([{ plan, output }], options);
  return summary!;
}

/**
 * The same for a model in several files of the same sources, one after the other. None has its name before all
 * are complete: a model of which the first part is there is all there.
 */
export async function executeParts(
  parts: readonly PlanPart[],
  options: ExecuteOptions = {},
): Promise<Summary[]> {
  const total = parts.reduce((sum, { plan }) => sum + plan.byteLength, 0);
  const outputs = parts.map(({ output }) => output);
  const { force = false } = options;
  const claim = claimOutputs(outputs, { byteLength: total, inputs: parts[0]!.plan.files, force });
  const written: Written[] = [];
  const progress = new Progress(parts, options.onProgress);
  let current = parts[0]!.output;
  try {
    await withFiles((open) => {
      const files = open(parts[0]!.plan.files);
      return withPool(options, async (pool) => {
        for (const part of parts) {
          current = part.output;
          const work = { ...part, pool, files, progress, resume: options.resume === true };
          written.push(await writePartial(work));
        }
      });
    });
    publishParts(written, force);
    return written.map(({ summary }) => summary);
  } catch (error) {
    if (isResumable(error)) throw withResumeHint(error, partialPath(current));
    // Another run's work is not this one's to throw away.
    if (!(error instanceof LlqError && error.code === "usage")) {
      for (const { output } of parts) removePartial(output);
    }
    throw error;
  } finally {
    claim.release();
  }
}

interface Written {
  readonly summary: Summary;
  readonly stamp: FileStamp;
}

/** The first part comes last, and that of an older model goes first: where it is, all of one model are. */
function publishParts(written: readonly Written[], force: boolean): void {
  checkInputs();
  const first = written[0]!.summary.output;
  if (force && written.length > 1) rmSync(first, { force: true });
  for (const { summary, stamp } of written.toReversed()) {
    publish(summary.output, stamp, force);
    removeJournal(journalPath(summary.output));
  }
}

/** Weights done of those of all parts. */
class Progress {
  readonly #total: number;
  readonly #report: ExecuteOptions["onProgress"];
  #done = 0;

  constructor(parts: readonly PlanPart[], report: ExecuteOptions["onProgress"]) {
    this.#total = parts.reduce((sum, { plan }) => sum + planElements(plan), 0);
    this.#report = report;
  }

  advance(elements: number): void {
    this.#done += elements;
    this.#report?.(this.#done, this.#total);
  }
}

interface Work extends PlanPart {
  readonly pool: WorkerPool;
  readonly files: Descriptors;
  readonly progress: Progress;
  readonly resume: boolean;
}

/** Leaves the complete file on the disk, under its partial name. */
async function writePartial(work: Work): Promise<Written> {
  const { plan, output, pool } = work;
  const started = performance.now();
  const print = fingerprint(plan);
  const kept = work.resume && existsSync(partialPath(output));
  const recorded = kept ? readJournal(journalPath(output), print) : undefined;
  if (recorded === undefined) removePartial(output);
  const fd = openPartial(partialPath(output), plan.byteLength);
  const flusher = new Flusher(fd, output);
  try {
    const file = { fd, name: output };
    const done = new Map(await intactTensors(pool, plan, file, recorded ?? new Map()));
    const resumed = done.size;
    const journal = new Journal(journalPath(output), print, done);
    try {
      writeFully({ ...file, offset: 0 }, plan.header);
      await encodeTensors(work, file, done, { journal, flusher });
    } finally {
      journal.close();
    }
    await checkWritten(pool, plan, file, done);
    await flusher.finish();
    const stamp = settle(fd, output, plan.byteLength);
    closeSync(fd);
    const summary = {
      output,
      byteLength: plan.byteLength,
      elements: planElements(plan),
      seconds: (performance.now() - started) / 1000,
      resumed,
      tensors: plan.tensors.map((tensor, i) => report(tensor, done.get(i)!)),
    };
    return { summary, stamp };
  } catch (error) {
    await pool.close(); // before the descriptor: a thread must not write to whatever gets its number next
    await flusher.stop();
    closeSync(fd);
    throw error;
  }
}

/** Those recorded tensors whose bytes are on the disk as recorded: the rest is done again. */
async function intactTensors(
  pool: WorkerPool,
  plan: Plan,
  file: { readonly fd: number; readonly name: string },
  recorded: Finished,
): Promise<Finished> {
  const checks = [...recorded].map(async ([index, results]) => {
    const tensor = plan.tensors[index];
    return tensor !== undefined && (await isIntact(pool, tensor, file, results));
  });
  const intact = await Promise.all(checks);
  return new Map([...recorded].filter((_, i) => intact[i]));
}

/** Adds what is missing to `done`. */
async function encodeTensors(
  { plan, pool, files, progress }: Work,
  file: { readonly fd: number; readonly name: string },
  done: Map<number, readonly EncodeResult[]>,
  { journal, flusher }: { readonly journal: Journal; readonly flusher: Flusher },
): Promise<void> {
  const encodeTensor = async (tensor: TensorPlan, index: number): Promise<void> => {
    const jobs = encodeJobs(tensor, files, file);
    if (done.has(index)) {
      for (const job of jobs) progress.advance(job.rows * rowLength(job.tensor));
      return;
    }
    const results = await Promise.all(
      jobs.map(async (job) => {
        const result = await pool.run(encodeJob, job);
        flusher.wrote(result.byteLength);
        progress.advance(job.rows * rowLength(job.tensor));
        return result;
      }),
    );
    done.set(index, results);
    journal.add(index, results);
  };
  await Promise.all(plan.tensors.map(encodeTensor));
}

/** Reads the whole file back: a disk that lies about a write must not give a file that looks complete. */
async function checkWritten(
  pool: WorkerPool,
  plan: Plan,
  file: { readonly fd: number; readonly name: string },
  done: Finished,
): Promise<void> {
  await Promise.all(plan.tensors.map((tensor, i) => checkTensor(pool, tensor, file, done.get(i)!)));
}

/** Of everything the output's bytes depend on: the plan, the sources' identity, the version. */
function fingerprint(plan: Plan): string {
  const hash = createHash("sha256").update(VERSION).update(plan.header);
  for (const file of plan.files) hash.update(fileIdentity(file));
  for (const { weights = [], ...tensor } of plan.tensors) {
    hash.update(JSON.stringify(tensor));
    for (const values of weights) hash.update(values);
  }
  return hash.digest("hex");
}

function removePartial(output: string): void {
  rmSync(partialPath(output), { force: true });
  removeJournal(journalPath(output));
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
