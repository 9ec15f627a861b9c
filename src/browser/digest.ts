import { badInput } from "../../formats/errors.js";
import { Sha256 } from "../host/browser/sha256.js";
import { BlobStore } from "../host/browser/stores/store.js";
import { nextTurn } from "../host/browser/time.js";
import { t } from "../language/t.js";

export interface DigestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Read at a time, and hashed before others get their turn. */
const PIECE = 1 << 22;

/** SHA-256 of a file, in hexadecimal. @throws LlqError `bad-input` when it ends early, and the reason of `signal` */
export async function sha256Of(file: File, { signal, onProgress }: DigestOptions = {}): Promise<string> {
  const hash = new Sha256();
  const store = new BlobStore(file);
  const piece = new Uint8Array(Math.min(PIECE, Math.max(1, file.size)));
  for (let done = 0; done < file.size; ) {
    const got = store.read(piece, 0, piece.length, done);
    if (got === 0) throw badInput(t`${file.name}: byte ${done}: the file ends`, t`did it change meanwhile?`);
    hash.update(piece.subarray(0, got));
    done += got;
    onProgress?.(done, file.size);
    await nextTurn();
    signal?.throwIfAborted();
  }
  return hash.digest("hex");
}
