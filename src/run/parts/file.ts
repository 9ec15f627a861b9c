import * as v from "valibot";
import { closeSync, fsyncSync } from "#host/files";
import { chooseSearches } from "../../kernels/searches.js";
import { type Plan, planElements } from "../../quant/plan.js";
import { rowLength } from "../../tensor.js";
import type { WorkerPool } from "../threads/pool.js";
import { withFiles, withPool } from "../threads/scope.js";
import { checksumJob } from "../write/checksum.js";
import { partialPath } from "../write/claim.js";
import { type EncodeJob, type EncodeResult, encodeJob, writeError, writeFully } from "../write/encode.js";
import { type ExecuteOptions, searchedElements } from "../write/execute.js";
import { encodeResult } from "../write/journal.js";
import { Flusher, openForWriting, openPartial } from "../write/output.js";
import { fingerprint } from "../write/partials.js";
import { encodeJobs, type OpenOutput } from "../write/tensor-jobs.js";
import { doPart, type PartSummary } from "./do-part.js";
import { whole } from "./frames.js";
import { contentIdentity } from "./identity.js";
import { type Part, shareOf } from "./part.js";
import { type FoundRecord, type PartHead, PartRecord, readEntries, recordPath } from "./record.js";

// One file that several runs write, each its own regions: jobs are cut by cumulative weights from the plan, which is the same
// in every run, so that runs need nothing of one another. finish-file.ts makes a file of it.

export const FILE_KIND = "file";

/** What finishing needs to know of the file. */
export const fileAbout = v.object({
  recipe: v.string(),
  byteLength: whole,
  headerLength: whole,
  elements: whole,
  tensors: v.array(
    v.object({ name: v.string(), dtype: v.string(), offset: whole, byteLength: whole, jobs: whole }),
  ),
});
export type FileAbout = v.InferOutput<typeof fileAbout>;

/** A job of a tensor that is done, or the header. */
export const fileEntry = v.union([
  v.object({ tensor: whole, job: whole, result: encodeResult }),
  v.object({ header: whole }),
]);
export type FileEntry = v.InferOutput<typeof fileEntry>;

interface PlannedJob {
  readonly tensor: number;
  readonly job: number;
  readonly encode: EncodeJob;
}

/**
 * Writes a part of the planned file to `<output>.partial`, which all parts share. What a killed run of the same part has done
 * stays done.
 * @throws LlqError as execute; `usage`, too, when another run has this part, or other parts are of other work
 */
export async function executePart(
  plan: Plan,
  output: string,
  part: Part,
  options: ExecuteOptions = {},
): Promise<PartSummary> {
  const { force, signal } = options;
  const { byteLength, files: inputs } = plan;
  return doPart(
    output,
    part,
    { byteLength, inputs, force, signal },
    () => ({ kind: FILE_KIND, fingerprint: fingerprint(plan, contentIdentity), about: aboutOf(plan) }),
    (head, found) => writeRegions(plan, output, head, found, options),
  );
}

async function writeRegions(
  plan: Plan,
  output: string,
  head: PartHead,
  found: FoundRecord | undefined,
  options: ExecuteOptions,
) {
  const partial = partialPath(output);
  const reading = { fd: openPartial(partial, plan.byteLength), name: output };
  let writing: OpenOutput | undefined;
  let flusher: Flusher | undefined;
  const searches = chooseSearches(searchedElements([{ plan, output }]) / head.count);
  let record: PartRecord | undefined;
  try {
    const file = { fd: openForWriting(partial, reading.fd), name: output };
    writing = file;
    const flushed = new Flusher(file.fd, output);
    flusher = flushed;
    const counts = await withFiles((open) => {
      const files = open(plan.files);
      return withPool({ ...options, searches }, async (pool) => {
        const own = ownJobs(plan, files, file, head);
        const kept = await keptJobs(pool, found, own, reading);
        record = PartRecord.create(recordPath(output, head), head);
        for (const [{ tensor, job }, result] of kept) record.add({ tensor, job, result } satisfies FileEntry);
        if (head.no === 1) await writeHeader(plan, pool, { file, reading }, record);
        return runJobs(own, { pool, kept, record, flusher: flushed, onProgress: options.onProgress });
      });
    });
    await flusher.finish();
    flush(file.fd, output);
    record!.end();
    return counts;
  } finally {
    await flusher?.stop();
    record?.close();
    if (writing !== undefined) closeSync(writing.fd);
    closeSync(reading.fd);
  }
}

/** The first part's, too. */
async function writeHeader(
  { header }: Plan,
  pool: WorkerPool,
  { file, reading }: { readonly file: OpenOutput; readonly reading: OpenOutput },
  record: PartRecord,
): Promise<void> {
  writeFully({ ...file, offset: 0 }, header);
  const { checksum } = await pool.run(checksumJob, { file: reading, offset: 0, byteLength: header.length });
  record.add({ header: checksum } satisfies FileEntry);
}

interface Running {
  readonly pool: WorkerPool;
  readonly kept: ReadonlyMap<PlannedJob, EncodeResult>;
  readonly record: PartRecord;
  readonly flusher: Flusher;
  readonly onProgress: ExecuteOptions["onProgress"];
}

async function runJobs(
  own: readonly PlannedJob[],
  { pool, kept, record, flusher, onProgress }: Running,
): Promise<{ elements: number; resumed: number }> {
  const sum = (jobs: readonly PlannedJob[]) => jobs.reduce((all, { encode }) => all + weightsOf(encode), 0);
  const elements = sum(own);
  const resumed = sum([...kept.keys()]);
  let done = resumed;
  const run = async ({ tensor, job, encode }: PlannedJob) => {
    const [result] = await pool.run(encodeJob, encode);
    record.add({ tensor, job, result: result! } satisfies FileEntry);
    flusher.wrote(result!.byteLength);
    done += weightsOf(encode);
    onProgress?.(done, elements);
  };
  await Promise.all(own.filter((job) => !kept.has(job)).map(run));
  return { elements, resumed };
}

function aboutOf(plan: Plan): FileAbout {
  return {
    recipe: plan.recipe,
    byteLength: plan.byteLength,
    headerLength: plan.header.length,
    elements: planElements(plan),
    tensors: plan.tensors.map((each) => ({
      name: each.tensor.name,
      dtype: each.dtype,
      offset: each.offset,
      byteLength: each.byteLength,
      jobs: encodeJobs(each, [], { fd: -1, name: "" }).length,
    })),
  };
}

/** Jobs are only made of tensors that have some of this part: of all of them there may be hundreds of thousands. */
function ownJobs(plan: Plan, files: EncodeJob["files"], output: OpenOutput, part: Part): PlannedJob[] {
  const works = plan.tensors.map((each) => encodeJobs(each, files, output).map(weightsOf));
  const { first, end } = shareOf(works.flat(), part);
  let before = 0;
  return plan.tensors.flatMap((each, tensor) => {
    const start = before;
    before += works[tensor]!.length;
    if (before <= first || start >= end) return [];
    const jobs = encodeJobs(each, files, output).map((encode, job) => ({ tensor, job, encode }));
    return jobs.slice(Math.max(first - start, 0), end - start);
  });
}

function weightsOf({ tensor, rows }: EncodeJob): number {
  return rows * rowLength(tensor);
}

/** Of the jobs that an earlier run has noted, those whose bytes are on the disk as noted. */
async function keptJobs(
  pool: WorkerPool,
  found: FoundRecord | undefined,
  own: readonly PlannedJob[],
  file: OpenOutput,
): Promise<Map<PlannedJob, EncodeResult>> {
  const kept = new Map<PlannedJob, EncodeResult>();
  if (found === undefined) return kept;
  const byPlace = new Map(own.map((each) => [`${each.tensor} ${each.job}`, each]));
  const check = async (job: PlannedJob, result: EncodeResult) => {
    const { offset } = job.encode.targets[0]!.outputs[0]!;
    const region = { file, offset, byteLength: result.byteLength };
    if ((await pool.run(checksumJob, region)).checksum === result.checksum) kept.set(job, result);
  };
  const checks: Promise<void>[] = [];
  for (const entry of readEntries(found)) {
    const { success, output } = v.safeParse(fileEntry, entry);
    if (!success || "header" in output) continue;
    const job = byPlace.get(`${output.tensor} ${output.job}`);
    if (job !== undefined) checks.push(check(job, output.result));
  }
  await Promise.all(checks);
  return kept;
}

function flush(fd: number, output: string): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw writeError(output, cause);
  }
}
