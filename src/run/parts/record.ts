import * as v from "valibot";
import { decodeLatin1, encodeUtf8 } from "#host/bytes";
import {
  basename,
  closeSync,
  dirname,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  join,
  readdirSync,
  rmSync,
} from "#host/files";
import { decode } from "#host/records";
import { readFully } from "../../../formats/bytes.js";
import { badInput, LlqError, systemErrorCode } from "../../../formats/errors.js";
import { openGrowing } from "../../../formats/inputs.js";
import { t } from "../../language/t.js";
import { writeError, writeFully } from "../write/encode.js";
import { createFile, reopenFile, syncFolder } from "../write/output.js";
import { encodeFrame, FRAME_HEAD, frameContent, whole } from "./frames.js";
import { nameOf, type Part } from "./part.js";

// What a part has done stands in a file of its own beside the output: "llq_part", then frames (frames.ts) of a head, of what
// is done, and of an end. Nobody else writes to it, so parts on many machines need nothing of one another.

const MAGIC = "llq_part";
const headRecord = v.object({
  version: v.literal(1),
  /** What the work is, such as `file` or `eval-ppl`: llq finish has a row for each. */
  kind: v.string(),
  /** Of all that the result depends on; the same in every part. */
  fingerprint: v.string(),
  no: v.pipe(whole, v.minValue(1)),
  count: v.pipe(whole, v.minValue(1)),
  /** What finishing needs to know of the work; the same in every part. */
  about: v.unknown(),
});
const endRecord = v.object({ end: v.literal(true), seconds: v.number(), extra: v.unknown() });

export interface PartHead extends Part {
  readonly kind: string;
  readonly fingerprint: string;
  readonly about: unknown;
}

/** What a part's file says. */
export interface FoundRecord extends PartHead {
  readonly path: string;
  /** Where the frames behind the head begin and end; a frame that was cut short is left out. */
  readonly frames: readonly { readonly offset: number; readonly byteLength: number }[];
  /** Seconds that the work took, in the run that ended it; undefined for a part that is not complete. */
  readonly seconds: number | undefined;
  /** What that run has said of itself at its end, such as how long its parts took. */
  readonly extra: unknown;
}

/** Where a part of an output keeps what it has done. */
export function recordPath(output: string, { no, count }: Part): string {
  return `${output}.part-${no}-of-${count}`;
}

/** The parts of an output that have left something, in order. */
export function listRecords(output: string): (Part & { readonly path: string })[] {
  const start = `${basename(output)}.part-`;
  let names: string[];
  try {
    names = readdirSync(dirname(output));
  } catch {
    return [];
  }
  return names
    .flatMap((name) => {
      const [, no, count] = name.startsWith(start)
        ? (/^(\d{1,4})-of-(\d{1,4})$/.exec(name.slice(start.length)) ?? [])
        : [];
      return no === undefined
        ? []
        : [{ path: join(dirname(output), name), no: Number(no), count: Number(count) }];
    })
    .sort((a, b) => a.count - b.count || a.no - b.no);
}

/** Most bytes of a frame: what a part writes at once is far smaller. */
const MAX_FRAME = 2 ** 30;
const LIMITS = { maxArrayLength: 2 ** 22, maxMapLength: 64, maxExtLength: 0 };

/**
 * Reads a part's file as far as it is whole.
 * @throws LlqError `bad-input` when it is no such file, or there is none
 */
export function readRecord(path: string): FoundRecord {
  const found = readBegun(path);
  if (found !== undefined) return found;
  throw badInput(t`${path}: its beginning is missing`, t`remove ${path}`);
}

/**
 * The same; undefined when not even its beginning is there: a part has just begun, was killed then, or its disk shows others
 * what it has written only later.
 */
export function readBegun(path: string): FoundRecord | undefined {
  const fd = openIfThere(path);
  if (fd === undefined) return undefined;
  try {
    const { size } = fstatSync(fd);
    const magic = new Uint8Array(Math.min(size, MAGIC.length));
    readFully(fd, path, magic, 0);
    if (!MAGIC.startsWith(decodeLatin1(magic))) throw badInput(t`${path}: is no part of anything`);
    const all = framesOf(fd, path, size);
    if (all.length === 0) return undefined;
    const parsed = v.safeParse(headRecord, readFrame(fd, path, all[0]!));
    if (!parsed.success) {
      throw badInput(t`${path}: its beginning is damaged, or of another version of llq`, t`remove ${path}`);
    }
    const last = all.length > 1 ? readFrame(fd, path, all.at(-1)!) : undefined;
    const end = v.safeParse(endRecord, last);
    const { version: _, about, ...rest } = parsed.output;
    return {
      ...rest,
      about,
      path,
      frames: all.slice(1, end.success ? -1 : undefined),
      seconds: end.success ? end.output.seconds : undefined,
      extra: end.success ? end.output.extra : undefined,
    };
  } finally {
    closeSync(fd);
  }
}

/** A part that begins anew takes its file away for a moment. */
function openIfThere(path: string): number | undefined {
  try {
    return openGrowing(path);
  } catch (error) {
    if (error instanceof LlqError && systemErrorCode(error.cause) === "ENOENT") return undefined;
    throw error;
  }
}

/** Where its frames are; one that was cut short is left out. */
function framesOf(fd: number, path: string, size: number): { offset: number; byteLength: number }[] {
  const frames: { offset: number; byteLength: number }[] = [];
  const head = new Uint8Array(FRAME_HEAD);
  for (let offset = MAGIC.length; offset + FRAME_HEAD <= size; ) {
    readFully(fd, path, head, offset);
    const byteLength = FRAME_HEAD + new DataView(head.buffer).getUint32(0, true);
    if (byteLength > MAX_FRAME || offset + byteLength > size) break;
    frames.push({ offset, byteLength });
    offset += byteLength;
  }
  return frames;
}

/** What a part has noted, one after the other; it ends at the first that is damaged. */
export function* readEntries({ path, frames }: FoundRecord): Generator<unknown> {
  const fd = openGrowing(path);
  try {
    for (const frame of frames) {
      const entry = readFrame(fd, path, frame);
      if (entry === undefined) return;
      yield entry;
    }
  } finally {
    closeSync(fd);
  }
}

function readFrame(
  fd: number,
  path: string,
  { offset, byteLength }: { offset: number; byteLength: number },
): unknown {
  const frame = new Uint8Array(byteLength);
  readFully(fd, path, frame, offset);
  const content = frameContent(frame);
  if (content === undefined) return undefined;
  try {
    return decode(content, LIMITS);
  } catch {
    return undefined;
  }
}

/** A part's file that is written to. */
export class PartRecord {
  readonly #path: string;
  readonly #fd: number;
  readonly #started = performance.now();
  #length: number;

  private constructor(path: string, fd: number, length: number) {
    this.#path = path;
    this.#fd = fd;
    this.#length = length;
  }

  static create(path: string, { kind, fingerprint, no, count, about }: PartHead): PartRecord {
    const record = new PartRecord(path, createFile(path), 0);
    record.#append(encodeUtf8(MAGIC));
    record.add({ version: 1, kind, fingerprint, no, count, about });
    record.#flush();
    return record;
  }

  /** Goes on behind the first `entries` of what is there. */
  static goOn(found: FoundRecord, entries: number): PartRecord {
    const fd = reopenFile(found.path);
    const last = found.frames[entries - 1];
    // behind the head, which is as long as the first frame's offset says
    const length = last === undefined ? headLength(fd, found.path) : last.offset + last.byteLength;
    try {
      ftruncateSync(fd, length);
    } catch (cause) {
      closeSync(fd);
      throw writeError(found.path, cause);
    }
    return new PartRecord(found.path, fd, length);
  }

  add(entry: unknown): void {
    this.#append(encodeFrame(entry));
  }

  /** Says that all is done, when it is on the disk. */
  end(extra: unknown = null): void {
    this.#flush();
    this.add({ end: true, seconds: (performance.now() - this.#started) / 1000, extra });
    this.#flush();
    syncFolder(dirname(this.#path));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(bytes: Uint8Array): void {
    writeFully({ fd: this.#fd, name: this.#path, offset: this.#length }, bytes);
    this.#length += bytes.length;
  }

  #flush(): void {
    try {
      fsyncSync(this.#fd);
    } catch (cause) {
      throw writeError(this.#path, cause);
    }
  }
}

function headLength(fd: number, path: string): number {
  const head = new Uint8Array(FRAME_HEAD);
  readFully(fd, path, head, MAGIC.length);
  return MAGIC.length + FRAME_HEAD + new DataView(head.buffer).getUint32(0, true);
}

/**
 * Refuses what parts have left of other work.
 * @returns what an earlier run of the same part has left
 * @throws LlqError `usage`
 */
export function checkParts(output: string, own: PartHead): FoundRecord | undefined {
  let ownFound: FoundRecord | undefined;
  for (const { path, no, count } of listRecords(output)) {
    if (count !== own.count) {
      const message = t`${path}: is one of ${count} parts, and this is ${nameOf(own)}`;
      throw new LlqError("usage", message, { hint: t`the same number for all; ${startOver(output)}` });
    }
    const found = readBegun(path);
    const isAlike = found === undefined || (found.kind === own.kind && found.fingerprint === own.fingerprint);
    if (!isAlike) throw foreignPart(output, no, count);
    if (no === own.no) ownFound = found;
  }
  return ownFound;
}

export function foreignPart(output: string, no: number, count: number): LlqError {
  const path = recordPath(output, { no, count });
  const message = t`${path}: is of other options, another source or another version of llq`;
  return new LlqError("usage", message, { hint: startOver(output) });
}

/** Of all parts together, each in the run that ended it. */
export function secondsOf(records: readonly FoundRecord[]): number {
  return records.reduce((sum, { seconds = 0 }) => sum + seconds, 0);
}

export function startOver(output: string): string {
  return t`remove ${output}.part-* to start over`;
}

export function removeRecords(output: string): void {
  for (const { path } of listRecords(output)) rmSync(path, { force: true });
}
