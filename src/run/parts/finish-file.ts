import * as v from "valibot";
import { closeSync, existsSync, statSync } from "#host/files";
import { badInput, LlqError } from "../../../formats/errors.js";
import { openGrowing } from "../../../formats/inputs.js";
import { t } from "../../language/t.js";
import type { WorkerPool } from "../threads/pool.js";
import { type PoolOptions, withPool } from "../threads/scope.js";
import { checksumJob } from "../write/checksum.js";
import { claimOutputs, partialPath } from "../write/claim.js";
import { type EncodeResult, writeFully } from "../write/encode.js";
import { openPartial, settle } from "../write/output.js";
import { publishParts, reportOf, type TensorReport } from "../write/partials.js";
import { type FileAbout, fileAbout, fileEntry } from "./file.js";
import { nameOf } from "./part.js";
import { type FoundRecord, readEntries, removeRecords, secondsOf } from "./record.js";

export interface FinishOptions extends Pick<PoolOptions, "threads" | "signal"> {
  /** Replace an output that exists. */
  readonly force?: boolean | undefined;
  /** Called with the bytes that are checked, and all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface FinishedFile {
  readonly output: string;
  readonly recipe: string;
  readonly byteLength: number;
  readonly elements: number;
  readonly parts: number;
  /** Of all parts together, each in the run that ended it. */
  readonly seconds: number;
  readonly tensors: readonly TensorReport[];
}

/** Bytes of a file that some part says it has written. */
interface Region {
  readonly offset: number;
  readonly byteLength: number;
  readonly checksum: number;
  /** Whose it is. */
  readonly part: FoundRecord;
}

/** Zeros between tensors, at most. */
const MAX_GAP = 1 << 20;

/**
 * Makes a file of what parts have written, when every byte of it is what some part has noted.
 * @param records of all parts, complete
 * @throws LlqError `usage` for an output that exists; `no-space` for bytes that are not those that were written; `bad-input`
 * for records that do not make up a file
 */
export async function finishFile(
  output: string,
  records: readonly FoundRecord[],
  options: FinishOptions = {},
): Promise<FinishedFile> {
  const about = v.safeParse(fileAbout, records[0]!.about);
  if (!about.success) throw badInput(t`${records[0]!.path}: says nothing of a file`);
  const { header, results } = readAll(about.output, records);
  const regions = [header, ...regionsOf(about.output, results)];
  const { recipe, byteLength, elements, tensors } = about.output;
  if (!(await isNamed(output, regions, byteLength, options)))
    await makeFile(output, regions, byteLength, options);
  removeRecords(output);
  return {
    ...{ output, recipe, byteLength, elements },
    parts: records.length,
    seconds: secondsOf(records),
    tensors: tensors.map(({ name, dtype }, i) =>
      reportOf(
        name,
        dtype,
        results[i]!.map(({ result }) => result),
      ),
    ),
  };
}

/** Checks all bytes of the file that the parts have written, and gives it its name. */
async function makeFile(
  output: string,
  regions: readonly Region[],
  byteLength: number,
  options: FinishOptions,
): Promise<void> {
  const { force = false } = options;
  const claim = claimOutputs([output], { force });
  try {
    if (!existsSync(partialPath(output))) {
      const hint = t`what the parts have written must be in the same folder as their records`;
      throw new LlqError("usage", t`${partialPath(output)}: is not there`, { hint });
    }
    const fd = openPartial(partialPath(output), byteLength);
    try {
      clearGaps({ fd, name: output }, regions, byteLength);
      const wrong = await findWrong({ fd, name: output }, regions, options);
      if (wrong !== undefined) {
        const message = t`${partialPath(output)}: from byte ${wrong.offset} it is not what ${nameOf(wrong.part)} has written`;
        const hint = t`run ${nameOf(wrong.part)} again: it does what is damaged anew`;
        throw new LlqError("no-space", message, { hint });
      }
      publishParts([{ output, stamp: settle(fd, output, byteLength) }], force);
    } finally {
      closeSync(fd);
    }
  } finally {
    claim.release();
  }
}

/** Whether a run that was killed then has given the file its name already: it has checked all of it before. */
async function isNamed(
  output: string,
  regions: readonly Region[],
  byteLength: number,
  options: FinishOptions,
): Promise<boolean> {
  const found = statSync(output, { throwIfNoEntry: false });
  if (existsSync(partialPath(output)) || !found?.isFile() || found.size !== byteLength) return false;
  const fd = openGrowing(output);
  try {
    return (await findWrong({ fd, name: output }, regions, options)) === undefined;
  } finally {
    closeSync(fd);
  }
}

interface Noted {
  readonly result: EncodeResult;
  readonly part: FoundRecord;
}

/** The results of every tensor's jobs, in order. */
function readAll(about: FileAbout, records: readonly FoundRecord[]) {
  const results = about.tensors.map((): (Noted | undefined)[] => []);
  let header: Region | undefined;
  for (const part of records) {
    for (const entry of readEntries(part)) {
      const { success, output } = v.safeParse(fileEntry, entry);
      if (!success) throw badInput(t`${part.path}: is damaged`, t`run ${nameOf(part)} again`);
      if ("header" in output) {
        header = { offset: 0, byteLength: about.headerLength, checksum: output.header, part };
        continue;
      }
      const { tensor, job, result } = output;
      const own = about.tensors[tensor];
      if (own === undefined || job >= own.jobs)
        throw badInput(t`${part.path}: notes a job that there is not`);
      results[tensor]![job] = { result, part };
    }
  }
  if (header === undefined) throw badInput(t`${records[0]!.path}: nobody has written the header`);
  const missing = about.tensors.findIndex(({ jobs }, i) => results[i]!.filter(Boolean).length !== jobs);
  if (missing >= 0)
    throw badInput(t`${records[0]!.path}: no part has all of tensor ${about.tensors[missing]!.name}`);
  return { header, results: results as Noted[][] };
}

/** @throws LlqError `bad-input` where they are not as long as the tensor */
function regionsOf({ tensors }: FileAbout, results: readonly (readonly Noted[])[]): Region[] {
  return tensors.flatMap(({ name, offset: start, byteLength }, i) => {
    let offset = start;
    const own = results[i]!.map(({ result, part }) => {
      const region = { offset, byteLength: result.byteLength, checksum: result.checksum, part };
      offset += result.byteLength;
      return region;
    });
    if (offset === start + byteLength) return own;
    throw badInput(t`${results[i]![0]!.part.path}: tensor ${name} has not the bytes it should have`);
  });
}

/** What stood there before in a file that was left by something else must not show between tensors. */
function clearGaps(file: { fd: number; name: string }, regions: readonly Region[], byteLength: number): void {
  let end = 0;
  for (const { offset, byteLength: length } of [...regions, { offset: byteLength, byteLength: 0 }]) {
    if (offset < end || offset - end > MAX_GAP)
      throw badInput(t`${file.name}: its parts do not make up a file`);
    if (offset > end) writeFully({ ...file, offset: end }, new Uint8Array(offset - end));
    end = offset + length;
  }
}

/** The first of the regions whose bytes are not those that were written. */
async function findWrong(
  file: { fd: number; name: string },
  regions: readonly Region[],
  { onProgress, ...pooled }: FinishOptions,
): Promise<Region | undefined> {
  const total = regions.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let done = 0;
  const check = async (pool: WorkerPool, { offset, byteLength, checksum }: Region) => {
    const found = await pool.run(checksumJob, { file, offset, byteLength });
    done += byteLength;
    onProgress?.(done, total);
    return found.checksum === checksum;
  };
  const isRight = await withPool(pooled, (pool) => Promise.all(regions.map((region) => check(pool, region))));
  return regions[isRight.indexOf(false)];
}
