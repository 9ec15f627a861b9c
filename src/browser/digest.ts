import { badInput } from "../../formats/errors.js";
import { Sha256 } from "../host/browser/sha256.js";
import { Ahead } from "../host/browser/stores/ahead.js";
import { giveBuffer } from "../host/browser/stores/buffers.js";
import { nextTurn } from "../host/browser/time.js";
import { t } from "../language/t.js";

export interface DigestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Read at a time, and hashed before others get their turn. */
const PIECE = 1 << 20;

/** SHA-256 of a file, in hexadecimal. @throws LlqError `bad-input` when it ends early, and the reason of `signal` */
export async function sha256Of(file: File, { signal, onProgress }: DigestOptions = {}): Promise<string> {
  const hash = new Sha256();
  const ahead = new Ahead(file);
  const read = (from: number) => {
    const piece = ahead.read(from, Math.min(PIECE, file.size - from));
    piece.catch(() => {}); // whoever waits for it is told
    return piece;
  };
  let next = read(0);
  for (let done = 0; done < file.size; ) {
    const piece = await next.catch((): never => {
      throw badInput(t`${file.name}: byte ${done}: the file ends`, t`did it change meanwhile?`);
    });
    done += piece.length;
    if (done < file.size) next = read(done);
    hash.update(piece);
    giveBuffer(piece.buffer);
    onProgress?.(done, file.size);
    await nextTurn();
    signal?.throwIfAborted();
  }
  return hash.digest("hex");
}
