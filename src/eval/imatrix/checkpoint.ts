import { createHash, type Hash } from "node:crypto";
import { closeSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { decode, encode } from "@msgpack/msgpack";
import * as v from "valibot";
import type { Model } from "../../model.js";
import { planDecoder } from "../../net/plan/decoder.js";
import { writeError } from "../../run/write/encode.js";
import { fileIdentity, foreignJournal } from "../../run/write/journal.js";
import { createFile } from "../../run/write/output.js";
import { VERSION } from "../../version.js";
import type { Sums } from "./totals.js";

/** Whose sums they are. */
export type CheckpointKind = "imatrix 1" | "sensitivity 1";

const record = v.object({
  llq: v.string(),
  fingerprint: v.string(),
  chunks: v.pipe(v.number(), v.integer()),
  /** f64 */
  sums: v.pipe(
    v.instance(Uint8Array),
    v.check(({ length }) => length % 8 === 0),
  ),
});

/** Of what any checkpoint depends on: the version, the model, the chunks. What else there is, its owner adds. */
export function hashWork(
  model: Model,
  chunks: readonly Int32Array[],
  identity: (file: string) => string = fileIdentity,
): Hash {
  const hash = createHash("sha256")
    .update(VERSION)
    .update(JSON.stringify(planDecoder(model)));
  for (const file of model.container.files) hash.update(identity(file));
  for (const chunk of chunks) hash.update(`${chunk.length}`).update(chunk);
  return hash;
}

/**
 * Keeps what is done, so that a run that was killed can go on: one MessagePack record. The file is replaced as a
 * whole; whenever the kill comes, there is the old one or the new one.
 */
export function writeCheckpoint(
  path: string,
  kind: CheckpointKind,
  fingerprint: string,
  { chunks, sums }: Sums,
): void {
  const bytes = encode({ llq: kind, fingerprint, chunks, sums: new Uint8Array(sums.buffer) });
  const fd = createFile(newPath(path));
  try {
    writeFileSync(fd, bytes, { flush: true });
    renameSync(newPath(path), path);
  } catch (cause) {
    throw writeError(path, cause);
  } finally {
    closeSync(fd);
  }
}

/**
 * What is done according to the file; undefined when there is none, or none that can be read.
 * @throws LlqError `usage` when it is of another model, another text, other options or another version
 */
export function readCheckpoint(path: string, kind: CheckpointKind, fingerprint: string): Sums | undefined {
  let content: unknown;
  try {
    content = decode(readFileSync(path), LIMITS);
  } catch {
    return undefined;
  }
  const { success, output } = v.safeParse(record, content);
  if (!success || output.llq !== kind || output.fingerprint !== fingerprint) throw foreignJournal(path);
  return { chunks: output.chunks, sums: new Float64Array(new Uint8Array(output.sums).buffer) };
}

export function removeCheckpoint(path: string): void {
  for (const file of [path, newPath(path)]) rmSync(file, { force: true });
}

/** One map of four values: damaged counts must not be made room for. */
const LIMITS = { maxArrayLength: 0, maxMapLength: 4, maxStrLength: 1024, maxExtLength: 0 };

function newPath(path: string): string {
  return `${path}.new`;
}
