import { crc32 } from "node:zlib";
import { readFully } from "../../../formats/bytes.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { JobKind } from "../threads/messages.js";

/**
 * Work for one thread: the CRC-32 of a region of a file. Plain data. It is to find what a disk lost or a cut
 * write left out, not to stop a forger: a cryptographic hash would cost more than quantizing does.
 */
export interface ChecksumJob {
  readonly file: { readonly fd: number; readonly name: string };
  readonly offset: number;
  readonly byteLength: number;
}

export interface ChecksumResult {
  readonly crc32: number;
}

const CHUNK = 1 << 20;

export function checksum({ file, offset, byteLength }: ChecksumJob, kernels: Kernels): ChecksumResult {
  kernels.reset();
  const address = kernels.reserve(CHUNK); // the memory is there anyway; no new buffer for each job
  let crc = 0;
  for (let done = 0; done < byteLength; done += CHUNK) {
    const chunk = kernels.bytes(address, Math.min(CHUNK, byteLength - done));
    readFully(file.fd, file.name, chunk, offset + done);
    crc = crc32(chunk, crc);
  }
  return { crc32: crc };
}

export const checksumJob: JobKind<ChecksumJob, ChecksumResult> = {
  name: "checksum",
  run: checksum,
  about: ({ file, offset }) => `${file.name} from byte ${offset}`,
};
