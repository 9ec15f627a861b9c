import { type ErrorCode, LlqError } from "../../formats/errors.js";
import { type ScoreJob, type ScoreResult, score } from "../eval/perplexity/score.js";
import type { Kernels } from "../kernels/kernels.js";
import type { LayerJob, LayerResult } from "../net/block.js";
import { type EmbedJob, embed } from "../net/embed.js";
import { runLayer } from "../net/layer.js";
import { type CompareJob, type CompareResult, compare } from "../run/measure/compare.js";
import { type DeviationJob, type DeviationResult, deviate } from "../run/measure/deviation.js";
import { type TrialJob, type TrialResult, tryTypes } from "../run/measure/trial.js";
import { type ChecksumJob, type ChecksumResult, checksum } from "../run/write/checksum.js";
import { type EncodeJob, type EncodeResult, encode } from "../run/write/encode.js";

// Every message between the main thread and the workers is defined here; all of it is plain data.

export type Job =
  | EncodeJob
  | ChecksumJob
  | CompareJob
  | DeviationJob
  | TrialJob
  | EmbedJob
  | LayerJob
  | ScoreJob;

export interface JobResult {
  encode: EncodeResult;
  checksum: ChecksumResult;
  compare: CompareResult;
  deviation: DeviationResult;
  trial: TrialResult;
  embed: undefined;
  layer: LayerResult;
  score: ScoreResult;
}

export type ResultOf<J extends Job> = JobResult[J["kind"]];

export interface Request {
  readonly id: number;
  readonly job: Job;
}

export type Reply =
  | { readonly id: number; readonly result: ResultOf<Job> }
  | { readonly id: number; readonly error: ErrorData };

/** An error on its way between threads; `code` is absent for a bug. */
export interface ErrorData {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
}

/** Does the job; the same function serves the workers and a pool without threads. */
export function runJob<J extends Job>(job: J, kernels: Kernels): ResultOf<J>;
export function runJob(job: Job, kernels: Kernels): ResultOf<Job> {
  switch (job.kind) {
    case "encode":
      return encode(job, kernels);
    case "checksum":
      return checksum(job, kernels);
    case "compare":
      return compare(job, kernels);
    case "deviation":
      return deviate(job, kernels);
    case "trial":
      return tryTypes(job, kernels);
    case "embed":
      return embed(job, kernels);
    case "layer":
      return runLayer(job, kernels);
    case "score":
      return score(job, kernels);
  }
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
