import { createHash, type Hash } from "node:crypto";
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, readSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { LlqError } from "../../formats/errors.js";
import { t } from "../language/t.js";
import { writeError, writeFully } from "../run/write/encode.js";
import { reopenFile } from "../run/write/output.js";
import { type Answer, type HubClient, shown, transient } from "./http.js";
import type { HubFile } from "./listing.js";

/** A file on its way to the disk. */
export interface Download {
  readonly url: URL;
  readonly file: HubFile;
  /** Where it grows; what an earlier run has left there is gone on with. */
  readonly partial: string;
  /** Where it goes when it is whole and right. */
  readonly target: string;
  /** Told how many bytes of it are there. */
  readonly onBytes: (done: number) => void;
}

/**
 * Fetches one file: what arrives is kept over lost connections and over runs, and is given its name only when
 * its digest is the one in the listing.
 * @throws LlqError `network` when that cannot be had, `no-space`
 */
export async function download(client: HubClient, job: Download): Promise<void> {
  const blob = new GrowingBlob(job);
  try {
    const resumed = blob.length > 0;
    await receiveAll(client, job, blob);
    if (!blob.isRight() && resumed) {
      // What an earlier run left was damaged, or was of something else.
      blob.restart();
      await receiveAll(client, job, blob);
    }
    if (!blob.isRight()) {
      blob.discard();
      const { path, digest } = job.file;
      throw new LlqError(
        "network",
        t`${path}: the bytes received have not the ${digest.algorithm} ${digest.hex}`,
        {
          hint: t`nothing of it was kept; try again, on another network or by another HF_ENDPOINT`,
        },
      );
    }
    blob.publish();
  } finally {
    blob.close();
  }
}

/** Bytes more than ever before, after which failures before them count no longer. */
const LEAST_GAIN = 1 << 16;

async function receiveAll(client: HubClient, job: Download, blob: GrowingBlob): Promise<void> {
  let most = blob.length;
  await client.retry(async (gained) => {
    job.onBytes(blob.length);
    if (blob.length === job.file.size) return;
    await receive(client, job, blob, () => {
      job.onBytes(blob.length);
      // A server that makes us start over and over gains us nothing, nor does one that gives a little each time.
      if (blob.length < most + LEAST_GAIN && blob.length < job.file.size) return;
      most = blob.length;
      gained();
    });
  });
}

/** Asks for what is missing and appends what comes. */
async function receive(
  client: HubClient,
  { url, file }: Download,
  blob: GrowingBlob,
  onChunk: () => void,
): Promise<void> {
  const headers: Record<string, string> = blob.length > 0 ? { range: `bytes=${blob.length}-` } : {};
  const answer = await client.get(url, headers);
  if (!continues(answer, blob, file)) {
    const isWhole = answer.status === 200;
    blob.restart();
    if (!isWhole) {
      for await (const _ of answer.body) break; // frees the connection
      throw transient(t`${shown(url)}: the server cannot go on where it stopped`);
    }
  }
  blob.etag = answer.etag;
  for await (const chunk of answer.body) {
    if (blob.length + chunk.length > file.size) {
      blob.restart();
      throw transient(t`${shown(url)}: sends more than the ${file.size} bytes that the file has`);
    }
    blob.append(chunk);
    onChunk();
  }
  if (blob.length < file.size) {
    throw transient(t`${shown(url)}: ends after ${blob.length} of ${file.size} bytes`);
  }
}

/** Whether the answer's body begins where the blob ends, and is of the same file as what came before. */
function continues({ status, headers, etag }: Answer, blob: GrowingBlob, { size }: HubFile): boolean {
  if (blob.length === 0) return status === 200;
  if (blob.etag !== undefined && etag !== blob.etag) return false;
  return status === 206 && headers.get("content-range") === `bytes ${blob.length}-${size - 1}/${size}`;
}

const PIECE = 1 << 20;

/** The part of a file that has arrived: on the disk, and hashed. */
class GrowingBlob {
  readonly #job: Download;
  readonly #fd: number;
  #isOpen = true;
  #hash: Hash;
  length = 0;
  /** Of the answer that the bytes came from; undefined for those of an earlier run. */
  etag: string | undefined;

  constructor(job: Download) {
    this.#job = job;
    this.#hash = startHash(job.file);
    try {
      mkdirSync(dirname(job.partial), { recursive: true });
    } catch (cause) {
      throw writeError(job.partial, cause);
    }
    this.#fd = reopenFile(job.partial);
    this.#readBack();
  }

  /** Hashes what an earlier run has left. */
  #readBack(): void {
    const bytes = Buffer.alloc(PIECE);
    for (;;) {
      const got = readSync(this.#fd, bytes, 0, PIECE, this.length);
      if (got === 0) return;
      if (this.length + got > this.#job.file.size) {
        this.restart();
        return;
      }
      this.#hash.update(bytes.subarray(0, got));
      this.length += got;
    }
  }

  append(bytes: Uint8Array): void {
    writeFully({ fd: this.#fd, name: this.#job.partial, offset: this.length }, bytes);
    this.#hash.update(bytes);
    this.length += bytes.length;
  }

  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#hash = startHash(this.#job.file);
    this.length = 0;
    this.etag = undefined;
  }

  isRight(): boolean {
    return this.#hash.copy().digest("hex") === this.#job.file.digest.hex;
  }

  publish(): void {
    const { partial, target } = this.#job;
    try {
      fsyncSync(this.#fd);
      renameSync(partial, target);
    } catch (cause) {
      throw writeError(target, cause);
    }
  }

  discard(): void {
    this.close();
    rmSync(this.#job.partial, { force: true });
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

/** Git puts a header before the bytes it hashes. */
function startHash({ size, digest }: HubFile): Hash {
  if (digest.algorithm === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}
