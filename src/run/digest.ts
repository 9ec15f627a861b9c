import { createHash } from "node:crypto";
import { readFully } from "../../formats/bytes.js";
import type { Kernels } from "./kernels.js";

/** Work for one thread: the sha256 of a region of a file. Plain data. */
export interface DigestJob {
  readonly kind: "digest";
  readonly file: { readonly fd: number; readonly name: string };
  readonly offset: number;
  readonly byteLength: number;
}

export interface DigestResult {
  readonly sha256: string;
}

const CHUNK = 1 << 20;

export function digest({ file, offset, byteLength }: DigestJob, kernels: Kernels): DigestResult {
  kernels.reset();
  const address = kernels.reserve(CHUNK); // the memory is there anyway; no new buffer for each job
  const hash = createHash("sha256");
  for (let done = 0; done < byteLength; done += CHUNK) {
    const chunk = kernels.bytes(address, Math.min(CHUNK, byteLength - done));
    readFully(file.fd, file.name, chunk, offset + done);
    hash.update(chunk);
  }
  return { sha256: hash.digest("hex") };
}
