import { closeSync, fstatSync } from "#host/files";
import { createHash } from "#host/hash";
import { readFully } from "../../../formats/bytes.js";
import { openInput } from "../../../formats/inputs.js";

/** Bytes that are looked at, and in how many places of a file. */
const SAMPLE = 4096;
const SAMPLES = 16;

/**
 * What tells a file from another or a changed one, on whatever machine and under whatever name: its length, and some bytes
 * from all over it. Times of change differ between copies, and to read all of a model would take as long as the work.
 */
export function contentIdentity(path: string): string {
  const { fd } = openInput(path);
  try {
    const { size } = fstatSync(fd);
    const hash = createHash("sha256").update(`${size}`);
    const bytes = new Uint8Array(Math.min(SAMPLE, size));
    for (let i = 0; i < SAMPLES; i++) {
      readFully(fd, path, bytes, Math.floor(((size - bytes.length) * i) / (SAMPLES - 1)));
      hash.update(bytes);
    }
    return hash.digest("hex");
  } finally {
    closeSync(fd);
  }
}
