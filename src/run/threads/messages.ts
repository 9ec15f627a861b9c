import { type ErrorCode, LlqError } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import type { Products } from "../../kernels/products.js";

// What goes between the main thread and the workers; all of it is plain data.

/** A kind of work for threads: takes a job that is plain data, and gives what is. src/worker has the table of all. */
export interface JobKind<J, R> {
  readonly name: string;
  readonly run: (job: J, kernels: Kernels) => R;
}

/** What a thread starts with. */
export interface WorkerModules {
  readonly kernels: WebAssembly.Module;
  readonly products: Products | undefined;
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
