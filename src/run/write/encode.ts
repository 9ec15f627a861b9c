import { writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { DTypeName } from "../../../formats/dtype.js";
import { LlqError, systemErrorCode } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import { checkFinite } from "../../rows/finite.js";
import { isAcross } from "../../rows/packed/index.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes } from "../../rows/rows.js";
import { keepsStoredValues, matrixOf, rowLength, type Tensor } from "../../tensor.js";
import { aboutRows, type JobKind } from "../threads/messages.js";
import { checkOverflow, isFiniteSum } from "./overflow.js";

/** Work for one thread: produce some rows of one tensor and write them where they belong. Plain data. */
export interface EncodeJob {
  readonly tensor: Tensor;
  readonly files: Descriptors;
  readonly dtype: DTypeName;
  readonly firstRow: number;
  readonly rows: number;
  /** Importances of the columns, for each matrix that the rows belong to, in order. */
  readonly weights: readonly Float32Array[] | undefined;
  readonly output: { readonly fd: number; readonly name: string; readonly offset: number };
}

export interface EncodeResult {
  /** Bytes written. */
  readonly byteLength: number;
  /** Of those bytes, so that what reached the disk can be checked. */
  readonly crc32: number;
  /** Sum over the rows of (weight - written weight)². */
  readonly squaredError: number;
  /** Sum over the rows of weight². */
  readonly squaredSum: number;
  /** Largest |weight - written weight|. */
  readonly maxError: number;
}

/** Weights worked on at a time: as f32 they stay in a core's own cache, however large the job. */
const PIECE = 1 << 16;

/** @throws LlqError `bad-input` for a weight that is no finite number or becomes none, `no-space` when the disk is full */
export function encode(job: EncodeJob, kernels: Kernels): EncodeResult {
  kernels.reset();
  const { tensor, dtype } = job;
  const length = rowLength(tensor);
  const outRow = rowBytes(tensor, dtype);
  const out = kernels.reserve(job.rows * outRow);
  const stats = kernels.reserve(24);
  kernels.bytes(stats, 24).fill(0);
  const weights = placeWeights(job, kernels);
  if (dtype === tensor.dtype && keepsStoredValues(tensor)) {
    copyRows(job, kernels, out);
  } else {
    const pieceRows = rowsOfPiece(tensor, job.rows);
    const mark = kernels.mark();
    for (let done = 0; done < job.rows; done += pieceRows) {
      const rows = Math.min(pieceRows, job.rows - done);
      kernels.reset(mark);
      const x = kernels.reserve(rows * length * 4);
      const back = kernels.reserve(rows * length * 4);
      readRowsF32(kernels, job.files, tensor, job.firstRow + done, rows, x);
      checkFinite(kernels, tensor, x, rows * length, job.firstRow + done);
      const y = out + done * outRow;
      if (weights === undefined) kernels.fromF32(dtype, x, y, rows * length);
      else quantizeWeighted(job, kernels, { x, y, weights, firstRow: job.firstRow + done, rows });
      kernels.toF32(dtype, y, back, rows * length);
      kernels.call("error_stats")(x, back, rows * length, stats);
      if (!isFiniteSum(kernels, stats)) {
        checkOverflow(kernels, tensor, dtype, { x, back, firstRow: job.firstRow + done, rows, length });
      }
    }
  }
  const written = kernels.bytes(out, job.rows * outRow);
  writeFully(job.output, written);
  const sums = new DataView(kernels.memory.buffer, stats, 24);
  return {
    byteLength: written.length,
    crc32: crc32(written),
    squaredError: sums.getFloat64(0, true),
    squaredSum: sums.getFloat64(8, true),
    maxError: sums.getFloat32(16, true),
  };
}

export const encodeJob: JobKind<EncodeJob, EncodeResult> = {
  name: "encode",
  run: encode,
  about: ({ tensor, dtype, firstRow, rows }) => `${aboutRows(tensor, firstRow, rows)} to ${dtype}`,
};

/**
 * Rows of a job of `rows` that are worked on at a time. Of a transposed or packed matrix it is all of them: in the
 * file it has runs of as many elements as rows are read.
 */
export function rowsOfPiece(tensor: Tensor, rows: number): number {
  return tensor.sources.some(isAcross)
    ? rows
    : Math.min(rows, Math.max(1, Math.floor(PIECE / rowLength(tensor))));
}

/** Address of the importances, matrix after matrix. */
function placeWeights({ tensor, weights }: EncodeJob, kernels: Kernels): number | undefined {
  if (weights === undefined) return undefined;
  const length = rowLength(tensor);
  const address = kernels.reserve(weights.length * length * 4);
  for (const [i, values] of weights.entries()) kernels.floats(address + i * length * 4, length).set(values);
  return address;
}

interface WeightedRows {
  readonly x: number;
  readonly y: number;
  readonly weights: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** A row at a time, each with the importances of its matrix. */
function quantizeWeighted(
  { tensor, dtype, firstRow: start }: EncodeJob,
  kernels: Kernels,
  { x, y, weights, firstRow, rows }: WeightedRows,
): void {
  const length = rowLength(tensor);
  const outRow = rowBytes(tensor, dtype);
  for (let i = 0; i < rows; i++) {
    const matrix = matrixOf(tensor, firstRow + i) - matrixOf(tensor, start);
    kernels.fromF32(dtype, x + i * length * 4, y + i * outRow, length, weights + matrix * length * 4);
  }
}

/** Rows that keep their type: moved as bytes, and looked at only to refuse what is not finite. */
function copyRows(job: EncodeJob, kernels: Kernels, out: number): void {
  const { tensor } = job;
  readStoredRows(kernels, job.files, tensor, job.firstRow, job.rows, out);
  const length = rowLength(tensor);
  const bytes = rowBytes(tensor, tensor.dtype);
  const pieceRows = Math.max(1, Math.floor(PIECE / length));
  const x = kernels.reserve(pieceRows * length * 4);
  for (let done = 0; done < job.rows; done += pieceRows) {
    const rows = Math.min(pieceRows, job.rows - done);
    kernels.toF32(tensor.dtype, out + done * bytes, x, rows * length);
    checkFinite(kernels, tensor, x, rows * length, job.firstRow + done);
  }
}

/** @throws LlqError `no-space` when the disk is full */
export function writeFully(output: EncodeJob["output"], bytes: Uint8Array): void {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(output.fd, bytes, done, bytes.length - done, output.offset + done);
    }
  } catch (cause) {
    throw writeError(output.name, cause);
  }
}

/** What a failed write to `name` means to the user. */
export function writeError(name: string, cause: unknown): LlqError {
  const code = systemErrorCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new LlqError("no-space", `${name}: the disk is full`, {
      hint: "free some space or choose another output folder",
      cause,
    });
  }
  const kind = code === "EMFILE" || code === "ENFILE" ? "system" : "no-space";
  return new LlqError(kind, `${name}: cannot be written (${code ?? cause})`, { cause });
}
