import { closeSync } from "node:fs";
import { checkUnchanged, type FileStamp, openInput } from "../../../formats/inputs.js";
import type { Products } from "../../kernels/products.js";
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

/**
 * Opens files for as long as `work` takes; it may open more.
 * @throws LlqError `bad-input` when one of them has changed meanwhile
 */
export async function withFiles<T>(
  work: (open: (paths: readonly string[]) => Descriptors) => Promise<T>,
): Promise<T> {
  const opened: { readonly path: string; readonly fd: number; readonly stamp: FileStamp }[] = [];
  const open = (paths: readonly string[]) =>
    paths.map((path) => {
      const input = { path, ...openInput(path) };
      opened.push(input);
      return input.fd;
    });
  try {
    const result = await work(open);
    for (const { path, stamp } of opened) checkUnchanged(path, stamp);
    return result;
  } finally {
    for (const { fd } of opened) closeSync(fd);
  }
}
