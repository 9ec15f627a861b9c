import { closeSync } from "#host/files";
import { checkUnchanged, type FileStamp, openInput } from "../../../formats/inputs.js";
import type { Searches } from "../../kernels/kernels.js";
import type { Fused, Products } from "../../kernels/products.js";
import { closeLate } from "../../rows/late.js";
import type { Descriptors } from "../../rows/rows.js";
import { WorkerPool } from "./pool.js";

// What lasts as long as some work: threads, and open files. Files go around threads: no thread may touch a descriptor
// that is closed, as its number may be another file's by then.

export interface PoolOptions {
  /** Worker threads; 0 works in this thread. Default: one a core. */
  readonly threads?: number | undefined;
  /** Stops the work; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** For jobs that multiply. */
  readonly products?: Products | undefined;
  /** For jobs that round. */
  readonly searches?: Searches | undefined;
  /** For jobs that multiply floats, where their last bits may be the engine's own. */
  readonly fused?: Fused | undefined;
}

/** Starts threads for as long as `work` takes. A signal that comes with the last of the work counts too. */
export async function withPool<T>(
  { threads, signal, products, searches, fused }: PoolOptions,
  work: (pool: WorkerPool) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const pool = new WorkerPool(threads, products, searches, fused);
  const stop = () => void pool.close();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const result = await work(pool);
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await pool.close();
  }
}

/** Files of all models together that are open as long as the work lasts; more are opened when they are read. */
const MAX_OPEN = 256;

/** Files that are open until they are closed, all at once. */
export class OpenFiles {
  readonly #most: number;
  readonly #opened: { readonly path: string; readonly fd: number | undefined; readonly stamp: FileStamp }[] =
    [];

  constructor(most = MAX_OPEN) {
    this.#most = most;
  }

  /** @throws LlqError as openInput does; those before stay open */
  open(paths: readonly string[]): Descriptors {
    return paths.map((path) => {
      const { fd, stamp } = openInput(path);
      const stays = this.#opened.length < this.#most;
      if (!stays) closeSync(fd);
      this.#opened.push({ path, fd: stays ? fd : undefined, stamp });
      return stays ? fd : { path, stamp };
    });
  }

  /** @throws LlqError `bad-input` when one of them has changed meanwhile */
  check(): void {
    for (const { path, stamp } of this.#opened) checkUnchanged(path, stamp);
  }

  /** Those too that this thread has opened later. */
  close(): void {
    for (const { fd } of this.#opened.splice(0)) if (fd !== undefined) closeSync(fd);
    closeLate();
  }
}

/**
 * Opens files for as long as `work` takes; it may open more.
 * @throws LlqError `bad-input` when one of them has changed meanwhile
 */
export async function withFiles<T>(
  work: (open: (paths: readonly string[]) => Descriptors) => Promise<T>,
  most?: number,
): Promise<T> {
  const files = new OpenFiles(most);
  try {
    const result = await work((paths) => files.open(paths));
    files.check();
    return result;
  } finally {
    files.close();
  }
}
