import * as v from "valibot";
import { closeSync, readFileSync, rmSync, statSync, writeFileSync } from "#host/files";
import { decodeMulti, encode } from "#host/records";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { EncodeResult } from "./encode.js";
import { writeError } from "./encode.js";
import { createFile } from "./output.js";

/** A job's result, as it is kept. */
export const encodeResult = v.object({
  byteLength: v.number(),
  checksum: v.number(),
  squaredError: v.number(),
  squaredSum: v.number(),
  maxError: v.number(),
});
const headRecord = v.object({ llq: v.literal("journal 2"), fingerprint: v.string() });
const tensorRecord = v.object({ tensor: v.pipe(v.number(), v.integer()), results: v.array(encodeResult) });

/** Results of each finished tensor's jobs, by its index in the plan. */
export type Finished = ReadonlyMap<number, readonly EncodeResult[]>;

/**
 * What is done of a partial output, kept beside it so that a run that was killed can go on: MessagePack
 * records, appended as tensors are finished. A record cut short by the kill is as good as none.
 */
export class Journal {
  readonly #path: string;
  readonly #fd: number;

  /** Starts the file anew with what is `finished` already. */
  constructor(path: string, fingerprint: string, finished: Finished) {
    this.#path = path;
    this.#fd = createFile(path);
    this.#append({ llq: "journal 2", fingerprint });
    for (const [tensor, results] of finished) this.add(tensor, results);
  }

  add(tensor: number, results: readonly EncodeResult[]): void {
    this.#append({ tensor, results });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(record: unknown): void {
    try {
      writeFileSync(this.#fd, encode(record)); // all of it, after what is there
    } catch (cause) {
      throw writeError(this.#path, cause);
    }
  }
}

/**
 * What a journal says is finished; undefined when there is none.
 * @throws LlqError `usage` when it is of another source, other options or another version
 */
export function readJournal(path: string, fingerprint: string): Finished | undefined {
  const [head, ...records] = readRecords(path);
  if (head === undefined) return undefined;
  const parsed = v.safeParse(headRecord, head);
  if (!parsed.success || parsed.output.fingerprint !== fingerprint) throw foreignJournal(path);
  const finished = new Map<number, readonly EncodeResult[]>();
  for (const record of records) {
    const { success, output } = v.safeParse(tensorRecord, record);
    if (success) finished.set(output.tensor, output.results);
  }
  return finished;
}

/** The error for a record of other work. */
export function foreignJournal(path: string): LlqError {
  const message = t`${path}: was left by other options, another source or another version of llq`;
  return new LlqError("usage", message, { hint: t`run again without --resume to start over` });
}

/** What tells a file from a changed one without reading it, for fingerprints. */
export function fileIdentity(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return JSON.stringify([path, size, mtimeMs]);
}

/** A record is a small map, with a result for each job of a tensor: damaged counts must not be made room for. */
const LIMITS = {
  maxArrayLength: 2 ** 20,
  maxMapLength: 16,
  maxStrLength: 1024,
  maxBinLength: 0,
  maxExtLength: 0,
};

function readRecords(path: string): unknown[] {
  const records: unknown[] = [];
  try {
    for (const record of decodeMulti(readFileSync(path), LIMITS)) records.push(record);
  } catch {
    // No such file, or the last record was cut short: what came before it stands.
  }
  return records;
}

export function removeJournal(path: string): void {
  rmSync(path, { force: true });
}
