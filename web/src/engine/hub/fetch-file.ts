import { Transient } from "llq/browser";
import type { HubFile } from "./listing.js";
import { HubProblem } from "./problem.js";
import type { Hub } from "./requests.js";

/** A file that grows: the browser's own storage, or a test's memory. */
export interface Growing {
  readonly size: number;
  /** Adds at the end. @throws when not all of it is taken */
  append(bytes: Uint8Array<ArrayBuffer>): void;
  clear(): void;
  /** In hexadecimal, of all of it. */
  sha256(): Promise<string>;
}

/** Bytes more than ever before, after which failures before them count no longer. */
const LEAST_GAIN = 1 << 16;

/**
 * Fetches a file, or what is missing of it, and checks it against the listing. What arrives is kept over lost connections
 * and over visits.
 * @throws HubProblem
 */
export async function fetchFile(
  hub: Hub,
  url: URL,
  file: HubFile,
  target: Growing,
  onBytes: (done: number) => void,
): Promise<void> {
  const isResumed = target.size > 0;
  await receiveAll(hub, url, file, target, onBytes);
  if (await isRight(file, target)) return;
  // What an earlier visit left was damaged, or was of something else.
  target.clear();
  if (isResumed) {
    await receiveAll(hub, url, file, target, onBytes);
    if (await isRight(file, target)) return;
    target.clear();
  }
  throw new HubProblem("hubWrongBytes", file.path);
}

async function isRight({ size, sha256 }: HubFile, target: Growing): Promise<boolean> {
  return target.size === size && (sha256 === undefined || (await target.sha256()) === sha256);
}

async function receiveAll(
  hub: Hub,
  url: URL,
  file: HubFile,
  target: Growing,
  onBytes: (done: number) => void,
): Promise<void> {
  if (target.size > file.size) target.clear();
  let most = target.size;
  await hub.retry(async (gained) => {
    onBytes(target.size);
    if (target.size === file.size) return;
    const headers: Record<string, string> = target.size > 0 ? { range: `bytes=${target.size}-` } : {};
    const { response, body } = await hub.get(url, headers);
    // A server that knows no ranges sends all of it again.
    if (response.status !== 206) target.clear();
    for await (const bytes of body) {
      if (target.size + bytes.length > file.size) throw new HubProblem("hubWrongBytes", file.path);
      target.append(bytes);
      onBytes(target.size);
      if (target.size < most + LEAST_GAIN && target.size < file.size) continue;
      most = target.size;
      gained();
    }
    if (target.size < file.size) throw new Transient(new HubProblem("hubUnreachable", url.origin));
  });
}
