import { engineName } from "#host/engine";
import { type ErrorCode, LlqError } from "../../../formats/errors.js";
import type { FileRegion } from "../../host/types.js";
import type { Kernels, Searches } from "../../kernels/kernels.js";
import type { Fused, Products } from "../../kernels/products.js";
import type { Catalogue } from "../../language/t.js";
import { VERSION } from "../../version.js";

// What goes between the main thread and the workers; all of it is plain data.

/** A kind of work for threads: takes a job that is plain data, and gives what is. src/worker has the table of all. */
export interface JobKind<J, R> {
  readonly name: string;
  readonly run: (job: J, kernels: Kernels) => R;
  /** What a job is at work on, for a report of a bug. */
  readonly about: (job: J) => string;
  /** What of open files it reads for the most part, where that is known before. */
  readonly reads?: (job: J) => readonly FileRegion[];
  /** It reads what is being written. */
  readonly readsOutput?: boolean;
}

/** Does a job. @throws Error that says what it was at work on, should a kernel trap, which none is to */
export function runJob<J, R>(kind: JobKind<J, R>, job: J, kernels: Kernels): R {
  try {
    return kind.run(job, kernels);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    const message = `a kernel trapped (${error.message}) in the job ${kind.name}, ${kind.about(job)}`;
    throw new Error(`llq ${VERSION}, ${engineName}: ${message}`, {
      cause: error,
    });
  }
}

/** Some rows of a tensor, counted from 0. */
export function aboutRows(tensor: { readonly name: string }, firstRow: number, rows: number): string {
  return `tensor ${tensor.name}, rows ${firstRow} to ${firstRow + rows - 1}`;
}

/** The modules of WebAssembly that a thread works with. */
export interface WorkerModules {
  readonly kernels: WebAssembly.Module;
  readonly products: Products | undefined;
  readonly searches?: Searches | undefined;
  readonly fused?: Fused | undefined;
}

/** What a thread starts with. */
export interface WorkerStart extends WorkerModules {
  /** Of the language that is spoken; none for English. */
  readonly catalogue: Catalogue | undefined;
}

export interface Request {
  readonly id: number;
  /** Name of the job's kind. */
  readonly kind: string;
  readonly job: unknown;
}

export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorData };

/** An error on its way between threads; `code` is absent for a bug. */
export interface ErrorData {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
}

export function errorToData(error: unknown): ErrorData {
  if (error instanceof LlqError) return { code: error.code, message: error.message, hint: error.hint };
  if (error instanceof Error) return { message: error.message, stack: error.stack };
  return { message: String(error) };
}

export function errorFromData(data: ErrorData): Error {
  if (data.code !== undefined) return new LlqError(data.code, data.message, { hint: data.hint });
  const error = new Error(data.message);
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}
