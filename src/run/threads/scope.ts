import { closeSync } from "node:fs";
import { checkUnchanged, type FileStamp, openInput } from "../../../formats/inputs.js";
import type { Products } from "../../kernels/products.js";
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
}

/** Starts threads for as long as `work` takes. A signal that comes with the last of the work counts too. */
export async function withPool<T>(
  { threads, signal, products }: PoolOptions,
  work: (pool: WorkerPool) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const pool = new WorkerPool(threads, products);
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

/**
 * Opens files for as long as `work` takes; it may open more.
 * @throws LlqError `bad-input` when one of them has changed meanwhile
 */
export async function withFiles<T>(
  work: (open: (paths: readonly string[]) => Descriptors) => Promise<T>,
  most = MAX_OPEN,
): Promise<T> {
  const opened: { readonly path: string; readonly fd: number | undefined; readonly stamp: FileStamp }[] = [];
  const open = (paths: readonly string[]) =>
    paths.map((path) => {
      const { fd, stamp } = openInput(path);
      const stays = opened.length < most;
      if (!stays) closeSync(fd);
      opened.push({ path, fd: stays ? fd : undefined, stamp });
      return stays ? fd : { path, stamp };
    });
  try {
    const result = await work(open);
    for (const { path, stamp } of opened) checkUnchanged(path, stamp);
    return result;
  } finally {
    for (const { fd } of opened) if (fd !== undefined) closeSync(fd);
    closeLate();
  }
}
