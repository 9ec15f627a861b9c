import { isDeepStrictEqual } from "#host/equal";
import { closeSync, existsSync, rmSync } from "#host/files";
import { createHash } from "#host/hash";
import { recordsLast } from "#host/records";
import { checkInputs, type FileStamp } from "../../../formats/inputs.js";
import { type Plan, planElements, type TensorPlan } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import type { Descriptors } from "../../rows/rows.js";
import { rowCount, rowLength } from "../../tensor.js";
import { VERSION } from "../../version.js";
import type { WorkerPool } from "../threads/pool.js";
import { journalPath, partialPath } from "./claim.js";
import { type EncodeResult, encodeJob, writeFully } from "./encode.js";
import { type Finished, fileIdentity, Journal, readJournal, removeJournal } from "./journal.js";
import { Flusher, openPartial, publish, settle } from "./output.js";
import { checkTensor, isIntact, jointJobs, type OpenOutput, type PlacedTensor } from "./tensor-jobs.js";

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

/** A complete file that has no name yet. */
export interface Written {
  readonly summary: Summary;
  readonly stamp: FileStamp;
}

/** What the outputs of a run have in common. */
export interface Work {
  readonly pool: WorkerPool;
  readonly files: Descriptors;
  readonly progress: { advance(elements: number): void };
  readonly resume: boolean;
}

/** Leaves the complete files on the disk, under their partial names. What they have in common is read once. */
export async function writePartials(parts: readonly PlanPart[], work: Work): Promise<Written[]> {
  const started = performance.now();
  const found = parts.map((part) => lookForWork(part, work.resume));
  const partials: Partial[] = [];
  try {
    for (const each of found) partials.push(new Partial(each));
    for (const partial of partials) await partial.begin(work.pool);
    const encoded = sameTensors(partials).map((tensors) => encodeTensors(tensors, work));
    await Promise.all(encoded);
    const written: Written[] = [];
    for (const partial of partials) written.push(await partial.finish(work.pool, started));
    return written;
  } catch (error) {
    await work.pool.close(); // before the descriptors: a thread must not write to whatever gets their numbers next
    for (const partial of partials) await partial.stop();
    throw error;
  }
}

/**
 * Gives the files of one model their names. The first part comes last, and that of an older model goes first: where it is, all
 * of one model are.
 */
export function publishParts(
  files: readonly { readonly output: string; readonly stamp: FileStamp }[],
  force: boolean,
): void {
  checkInputs();
  if (force && files.length > 1) rmSync(files[0]!.output, { force: true });
  for (const { output, stamp } of files.toReversed()) {
    publish(output, stamp, force);
    removeJournal(journalPath(output));
  }
}

export function removePartial(output: string): void {
  rmSync(partialPath(output), { force: true });
  removeJournal(journalPath(output));
}

interface Found extends PlanPart {
  readonly print: string;
  /** What an earlier run has noted; undefined when none has. */
  readonly recorded: Finished | undefined;
}

function lookForWork({ plan, output }: PlanPart, resume: boolean): Found {
  const print = recordsLast ? fingerprint(plan) : "";
  const kept = resume && existsSync(partialPath(output));
  return { plan, output, print, recorded: kept ? readJournal(journalPath(output), print) : undefined };
}

/** An output on its way. */
class Partial {
  readonly plan: Plan;
  readonly file: OpenOutput;
  /** Results of each finished tensor's jobs, by its index in the plan. */
  readonly done = new Map<number, readonly EncodeResult[]>();
  readonly flusher: Flusher;
  readonly #found: Found;
  #journal: Journal | undefined;
  #resumed = 0;
  #isOpen = true;

  constructor(found: Found) {
    const { plan, output, recorded } = found;
    if (recorded === undefined) removePartial(output);
    const fd = openPartial(partialPath(output), plan.byteLength);
    this.plan = plan;
    this.file = { fd, name: output };
    this.flusher = new Flusher(fd, output);
    this.#found = found;
  }

  /** Looks what of the recorded tensors is on the disk as recorded: the rest is done again. */
  async begin(pool: WorkerPool): Promise<void> {
    const { print, recorded = new Map<number, readonly EncodeResult[]>() } = this.#found;
    const checks = [...recorded].map(async ([index, results]) => {
      const tensor = this.plan.tensors[index];
      return tensor !== undefined && (await isIntact(pool, tensor, this.file, results));
    });
    const intact = await Promise.all(checks);
    for (const [i, [index, results]] of [...recorded].entries()) if (intact[i]) this.done.set(index, results);
    this.#resumed = this.done.size;
    this.#journal = new Journal(journalPath(this.file.name), print, this.done);
    writeFully({ ...this.file, offset: 0 }, this.plan.header);
  }

  add(index: number, results: readonly EncodeResult[]): void {
    this.done.set(index, results);
    this.#journal!.add(index, results);
  }

  /** Reads the whole file back: a disk that lies about a write must not give a file that looks complete. */
  async finish(pool: WorkerPool, started: number): Promise<Written> {
    const { plan, file, done } = this;
    await Promise.all(plan.tensors.map((tensor, i) => checkTensor(pool, tensor, file, done.get(i)!)));
    await this.flusher.finish();
    const stamp = settle(file.fd, file.name, plan.byteLength);
    this.#close();
    const summary = {
      output: file.name,
      byteLength: plan.byteLength,
      elements: planElements(plan),
      seconds: (performance.now() - started) / 1000,
      resumed: this.#resumed,
      tensors: plan.tensors.map(({ tensor, dtype }, i) => reportOf(tensor.name, dtype, done.get(i)!)),
    };
    return { summary, stamp };
  }

  /** To be called when no thread writes any more. */
  async stop(): Promise<void> {
    await this.flusher.stop();
    this.#close();
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#journal?.close();
    closeSync(this.file.fd);
  }
}

/** A tensor of one of the outputs. */
interface Share {
  readonly partial: Partial;
  readonly index: number;
  readonly plan: TensorPlan;
}

/** The outputs' tensors; those that are the same rows of the sources together. */
function sameTensors(partials: readonly Partial[]): Share[][] {
  const groups: Share[][] = [];
  const byName = new Map<string, Share[][]>();
  for (const partial of partials) {
    for (const [index, plan] of partial.plan.tensors.entries()) {
      const { name } = plan.tensor;
      const named = byName.get(name) ?? [];
      byName.set(name, named);
      const group = named.find(([first]) => isDeepStrictEqual(first!.plan.tensor, plan.tensor));
      if (group !== undefined) {
        group.push({ partial, index, plan });
        continue;
      }
      const own = [{ partial, index, plan }];
      named.push(own);
      groups.push(own);
    }
  }
  return groups;
}

/** Adds the tensor to those outputs in which it is missing. */
async function encodeTensors(shares: readonly Share[], { pool, files, progress }: Work): Promise<void> {
  const missing = shares.filter(({ partial, index }) => !partial.done.has(index));
  const { tensor } = shares[0]!.plan;
  progress.advance((shares.length - missing.length) * rowCount(tensor) * rowLength(tensor));
  if (missing.length === 0) return;
  const kinds = sameBytes(missing);
  const places = kinds.map((kind) =>
    kind.map(({ plan, partial }): PlacedTensor => ({ plan, output: partial.file })),
  );
  const results = await Promise.all(
    jointJobs(places, files).map(async (job) => {
      const each = await pool.run(encodeJob, job);
      for (const [i, kind] of kinds.entries()) {
        for (const { partial } of kind) partial.flusher.wrote(each[i]!.byteLength);
      }
      progress.advance(missing.length * job.rows * rowLength(tensor));
      return each;
    }),
  );
  for (const [i, kind] of kinds.entries()) {
    for (const { partial, index } of kind)
      partial.add(
        index,
        results.map((each) => each[i]!),
      );
  }
}

/** Those that become the same type with the same importances together: their bytes are made once. */
function sameBytes(shares: readonly Share[]): Share[][] {
  const kinds: Share[][] = [];
  for (const share of shares) {
    const { dtype, weights } = share.plan;
    const kind = kinds.find(
      ([first]) => first!.plan.dtype === dtype && isDeepStrictEqual(first!.plan.weights, weights),
    );
    if (kind === undefined) kinds.push([share]);
    else kind.push(share);
  }
  return kinds;
}

/** Of everything the output's bytes depend on: the plan, the sources' identity, the version. */
export function fingerprint(plan: Plan, identity: (file: string) => string = fileIdentity): string {
  const hash = createHash("sha256").update(VERSION).update(plan.header);
  for (const file of plan.files) hash.update(identity(file));
  for (const { weights = [], ...tensor } of plan.tensors) {
    hash.update(JSON.stringify(tensor));
    for (const values of weights) hash.update(values);
  }
  return hash.digest("hex");
}

/** What became of a tensor, by the results of all its jobs. */
export function reportOf(name: string, dtype: string, results: readonly EncodeResult[]): TensorReport {
  const sum = (of: (result: EncodeResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const squaredSum = sum((result) => result.squaredSum);
  return {
    name,
    dtype,
    relativeError: squaredSum > 0 ? Math.sqrt(sum((result) => result.squaredError) / squaredSum) : 0,
    maxError: results.reduce((largest, result) => Math.max(largest, result.maxError), 0),
  };
}
