import * as v from "valibot";
import { compareBytes } from "#host/bytes";
import { basename, closeSync, dirname, fstatSync, join, statSync } from "#host/files";
import { createHash } from "#host/hash";
import { readFully } from "../../../formats/bytes.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { openInput } from "../../../formats/inputs.js";
import { t } from "../../language/t.js";
import { planElements } from "../../quant/plan.js";
import type { PlanPart } from "../../quant/split.js";
import type { WorkerPool } from "../threads/pool.js";
import { withPool } from "../threads/scope.js";
import { checksumJob } from "../write/checksum.js";
import { type ExecuteOptions, executeParts } from "../write/execute.js";
import { fingerprint } from "../write/partials.js";
import { doPart, type PartSummary } from "./do-part.js";
import type { FinishOptions } from "./finish-file.js";
import { whole } from "./frames.js";
import { contentIdentity } from "./identity.js";
import { nameOf, type Part, shareOf } from "./part.js";
import { type FoundRecord, PartRecord, readEntries, recordPath, removeRecords, secondsOf } from "./record.js";

// A model in several files, each written as a whole by one of the parts: machines need no folder in common.

export const FILES_KIND = "files";

const filesAbout = v.object({
  recipe: v.string(),
  elements: whole,
  files: v.array(v.object({ name: v.string(), byteLength: whole })),
});
/** A file that is complete: its place in the list, and the checksums of its pieces. */
const filesEntry = v.object({ file: whole, checksums: v.array(whole) });

/**
 * Writes those files of a model that are this part's, under their own names. Those that are there already stay.
 * @param output what all of them are called after; the record stands beside it
 * @throws LlqError as executeParts; `usage`, too, when another run has this part, or other parts are of other work
 */
export async function executeFiles(
  parts: readonly PlanPart[],
  output: string,
  part: Part,
  options: ExecuteOptions = {},
): Promise<PartSummary> {
  const { force, signal } = options;
  const works = parts.map(({ plan }) => planElements(plan));
  const { first, end } = shareOf(works, part);
  const sum = (elements: readonly number[]) => elements.reduce((all, each) => all + each, 0);
  const describe = () => {
    const prints = parts.map(({ plan }) => fingerprint(plan, contentIdentity));
    return {
      kind: FILES_KIND,
      fingerprint: createHash("sha256").update(prints.join()).digest("hex"),
      about: {
        recipe: parts[0]!.plan.recipe,
        elements: sum(works),
        files: parts.map((each) => ({ name: basename(each.output), byteLength: each.plan.byteLength })),
      } satisfies v.InferOutput<typeof filesAbout>,
    };
  };
  const inputs = parts[0]!.plan.files;
  return doPart(output, part, { inputs, force, signal }, describe, async (head) => {
    const own = parts.slice(first, end);
    const missing = own.filter((each) => !isThere(each));
    if (missing.length > 0) await executeParts(missing, { ...options, resume: true });
    const record = PartRecord.create(recordPath(output, part), head);
    try {
      await withPool(options, async (pool) => {
        for (const [i, each] of own.entries()) {
          const checksums = await checksumsOf(pool, each.output);
          record.add({ file: first + i, checksums } satisfies v.InferOutput<typeof filesEntry>);
        }
      });
      record.end();
    } finally {
      record.close();
    }
    const elements = sum(works.slice(first, end));
    return { elements, resumed: elements - sum(missing.map(({ plan }) => planElements(plan))) };
  });
}

/** Whether the file is there as a killed run of this part has left it: files get their names when they are complete. */
function isThere({ plan, output }: PlanPart): boolean {
  if (statSync(output, { throwIfNoEntry: false })?.size !== plan.byteLength) return false;
  const { fd } = openInput(output);
  try {
    const header = new Uint8Array(plan.header.length);
    readFully(fd, output, header, 0);
    return compareBytes(header, plan.header) === 0;
  } finally {
    closeSync(fd);
  }
}

/** Bytes of a checksum. */
const PIECE = 1 << 24;

async function checksumsOf(pool: WorkerPool, path: string, onPiece?: (byteLength: number) => void) {
  const { fd } = openInput(path);
  try {
    const { size } = fstatSync(fd);
    const file = { fd, name: path };
    return await Promise.all(
      Array.from({ length: Math.ceil(size / PIECE) }, async (_, i) => {
        const byteLength = Math.min(PIECE, size - i * PIECE);
        const { checksum } = await pool.run(checksumJob, { file, offset: i * PIECE, byteLength });
        onPiece?.(byteLength);
        return checksum;
      }),
    );
  } finally {
    closeSync(fd);
  }
}

export interface FinishedFiles {
  readonly output: string;
  readonly recipe: string;
  readonly elements: number;
  readonly parts: number;
  /** Of all parts together, each in the run that ended it. */
  readonly seconds: number;
  readonly files: readonly { readonly output: string; readonly byteLength: number }[];
}

/**
 * Makes sure that all files of a model are together, and those that the parts have written.
 * @param records of all parts, complete
 * @throws LlqError `usage` for a file that is not there; `bad-input` for one that is another, or records that name other places
 */
export async function finishFiles(
  output: string,
  records: readonly FoundRecord[],
  { onProgress, ...pooled }: FinishOptions = {},
): Promise<FinishedFiles> {
  const about = v.safeParse(filesAbout, records[0]!.about);
  if (!about.success) throw badInput(t`${records[0]!.path}: says nothing of files`);
  const { files, recipe, elements } = about.output;
  const stray = files.find(({ name }) => name !== basename(name) || name === "" || name === "..");
  if (stray !== undefined)
    throw badInput(t`${records[0]!.path}: ${stray.name} is no name of a file beside it`);
  const total = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const paths = files.map(({ name }) => join(dirname(output), name));
  const written = new Set<number>();
  let done = 0;
  await withPool(pooled, async (pool) => {
    for (const part of records) {
      for (const entry of readEntries(part)) {
        const { success, output: noted } = v.safeParse(filesEntry, entry);
        const file = success ? files[noted.file] : undefined;
        if (!success || file === undefined)
          throw badInput(t`${part.path}: is damaged`, t`run ${nameOf(part)} again`);
        const path = paths[noted.file]!;
        const found = statSync(path, { throwIfNoEntry: false });
        if (found === undefined) {
          const hint = t`${nameOf(part)} has written it: bring it into this folder`;
          throw new LlqError("usage", t`${path}: is not here`, { hint });
        }
        const checksums =
          found.size === file.byteLength
            ? await checksumsOf(pool, path, (byteLength) => {
                done += byteLength;
                onProgress?.(done, total);
              })
            : [];
        if (checksums.join() !== noted.checksums.join())
          throw badInput(
            t`${path}: is not the file that ${nameOf(part)} has written`,
            t`bring it here once more`,
          );
        written.add(noted.file);
      }
    }
  });
  const lost = files.findIndex((_, i) => !written.has(i));
  if (lost >= 0) throw badInput(t`${records[0]!.path}: no part has written ${files[lost]!.name}`);
  removeRecords(output);
  return {
    ...{ output, recipe, elements },
    parts: records.length,
    seconds: secondsOf(records),
    files: files.map(({ byteLength }, i) => ({ output: paths[i]!, byteLength })),
  };
}
