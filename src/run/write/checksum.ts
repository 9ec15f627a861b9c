import { readFully } from "../../../formats/bytes.js";
import type { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import type { JobKind } from "../threads/messages.js";

/**
 * Work for one thread: the checksum of a region of a file. Plain data. It is to find what a disk lost or a cut
 * write left out, not to stop a forger: a cryptographic hash would cost more than quantizing does, and CRC-32 a tenth of it.
 */
export interface ChecksumJob {
  readonly file: { readonly fd: number; readonly name: string };
  readonly offset: number;
  readonly byteLength: number;
}

export interface ChecksumResult {
  readonly checksum: number;
}

/** Read at a time: it stays in a core's second cache. */
const CHUNK = 1 << 18;

/** What the kernel keeps between calls (assembly/numbers/checksum.ts). */
const STATE_BYTES = 80;

export function checksum({ file, offset, byteLength }: ChecksumJob, kernels: Kernels): ChecksumResult {
  kernels.reset();
  const address = kernels.reserve(CHUNK); // the memory is there anyway; no new buffer for each job
  const state = startChecksum(kernels);
  for (let done = 0; done < byteLength; done += CHUNK) {
    const length = Math.min(CHUNK, byteLength - done);
    readFully(file.fd, file.name, kernels.bytes(address, length), offset + done);
    kernels.call("checksum")(address, length, state);
  }
  return { checksum: endChecksum(kernels, state, byteLength) };
}

/** The checksum of `length` bytes at `address`. Scratch memory above the current mark is used and given back. */
export function checksumOf(kernels: Kernels, address: number, length: number): number {
  const mark = kernels.mark();
  const state = startChecksum(kernels);
  kernels.call("checksum")(address, length, state);
  kernels.reset(mark);
  return endChecksum(kernels, state, length);
}

function startChecksum(kernels: Kernels): number {
  const state = kernels.reserve(STATE_BYTES);
  kernels.bytes(state, STATE_BYTES).fill(0);
  return state;
}

function endChecksum(kernels: Kernels, state: number, length: number): number {
  return kernels.call("checksum_end")(length, state) >>> 0;
}

export const checksumJob: JobKind<ChecksumJob, ChecksumResult> = {
  name: "checksum",
  run: checksum,
  readsOutput: true,
  about: ({ file, offset }) => t`${file.name} from byte ${offset}`,
};
