import { writeSync } from "#host/files";
import type { DTypeName } from "../../../formats/dtype.js";
import { LlqError, systemErrorCode } from "../../../formats/errors.js";
import type { Kernels } from "../../kernels/kernels.js";
import { t } from "../../language/t.js";
import { checkFinite } from "../../rows/finite.js";
import { isAcross } from "../../rows/packed/index.js";
import { storedRegions } from "../../rows/regions.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes, widenRows } from "../../rows/rows.js";
import { keepsStoredValues, matrixOf, rowLength, type Tensor } from "../../tensor.js";
import { aboutRows, type JobKind } from "../threads/messages.js";
import { checksumOf } from "./checksum.js";
import { checkOverflow } from "./overflow.js";

/** Work for one thread: produce some rows of one tensor, in one or more types, and write them where they belong. Plain data. */
export interface EncodeJob {
  readonly tensor: Tensor;
  readonly files: Descriptors;
  readonly firstRow: number;
  readonly rows: number;
  /** What the rows become: they are read once for all. */
  readonly targets: readonly EncodeTarget[];
}

export interface EncodeTarget {
  readonly dtype: DTypeName;
  /** Importances of the columns, for each matrix that the rows belong to, in order. */
  readonly weights: readonly Float32Array[] | undefined;
  /** Where the bytes go, one or more. */
  readonly outputs: readonly EncodeOutput[];
}

export interface EncodeOutput {
  readonly fd: number;
  readonly name: string;
  readonly offset: number;
}

export interface EncodeResult {
  /** Bytes written. */
  readonly byteLength: number;
  /** Of those bytes (checksum.ts), so that what reached the disk can be checked. */
  readonly checksum: number;
  /** Sum over the rows of (weight - written weight)². */
  readonly squaredError: number;
  /** Sum over the rows of weight². */
  readonly squaredSum: number;
  /** Largest |weight - written weight|. */
  readonly maxError: number;
}

/** Weights read at a time: they stay in a core's second cache, however large the job. */
const PIECE = 1 << 16;

/** Weights worked on at a time: as f32, twice, they stay in its first. */
const PART = 1 << 12;

/**
 * @returns a result for each target
 * @throws LlqError `bad-input` for a weight that is no finite number or becomes none, `no-space` when the disk is full
 */
export function encode(job: EncodeJob, kernels: Kernels): EncodeResult[] {
  kernels.reset();
  const placed = job.targets.map((target) => placeTarget(job, kernels, target));
  const copies = placed.filter(({ target }) => isCopy(job.tensor, target));
  for (const { out } of copies) copyRows(job, kernels, out);
  const rounded = placed.filter((each) => !copies.includes(each));
  if (rounded.length > 0) encodeRows(job, kernels, rounded, copies[0]?.out);
  return placed.map((each) => written(job, kernels, each));
}

/** Whether the rows keep the bytes that they are stored as. */
function isCopy(tensor: Tensor, { dtype }: EncodeTarget): boolean {
  return dtype === tensor.dtype && keepsStoredValues(tensor);
}

/** Addresses of a target: of its rows, of the sums of its errors, and of its importances, matrix after matrix. */
interface PlacedTarget {
  readonly target: EncodeTarget;
  readonly out: number;
  readonly stats: number;
  readonly weights: number | undefined;
}

function placeTarget({ tensor, rows }: EncodeJob, kernels: Kernels, target: EncodeTarget): PlacedTarget {
  const out = kernels.reserve(rows * rowBytes(tensor, target.dtype));
  const stats = kernels.reserve(24);
  kernels.bytes(stats, 24).fill(0);
  return { target, out, stats, weights: placeWeights(tensor, kernels, target) };
}

/** Writes what a target's rows have become. */
function written({ tensor, rows }: EncodeJob, kernels: Kernels, placed: PlacedTarget): EncodeResult {
  const { target, out, stats } = placed;
  const byteLength = rows * rowBytes(tensor, target.dtype);
  const checksum = checksumOf(kernels, out, byteLength);
  for (const output of target.outputs) writeFully(output, kernels.bytes(out, byteLength));
  const sums = new DataView(kernels.memory.buffer, stats, 24);
  return {
    byteLength,
    checksum,
    squaredError: sums.getFloat64(0, true),
    squaredSum: sums.getFloat64(8, true),
    maxError: sums.getFloat32(16, true),
  };
}

/** Reads a piece at a time, unless all is read already, to `stored`; and works on a part of it at a time. */
function encodeRows(
  job: EncodeJob,
  kernels: Kernels,
  targets: readonly PlacedTarget[],
  stored: number | undefined,
): void {
  const { tensor } = job;
  const length = rowLength(tensor);
  const rawRow = rowBytes(tensor, tensor.dtype);
  const pieceRows = rowsOfPiece(tensor, job.rows);
  const partRows = partOf(tensor, pieceRows);
  const x = kernels.reserve(partRows * length * 4);
  const back = kernels.reserve(partRows * length * 4);
  const mark = kernels.mark();
  for (let done = 0; done < job.rows; done += pieceRows) {
    kernels.reset(mark);
    const inPiece = Math.min(pieceRows, job.rows - done);
    const raw = stored === undefined ? kernels.reserve(inPiece * rawRow) : stored + done * rawRow;
    if (tensor.values === undefined && stored === undefined) {
      readStoredRows(kernels, job.files, tensor, job.firstRow + done, inPiece, raw);
    }
    for (let at = 0; at < inPiece; at += partRows) {
      const rows = Math.min(partRows, inPiece - at);
      const firstRow = job.firstRow + done + at;
      if (tensor.values === undefined) widenRows(kernels, tensor, raw + at * rawRow, firstRow, rows, x);
      else readRowsF32(kernels, job.files, tensor, firstRow, rows, x);
      checkFinite(kernels, tensor, x, rows * length, firstRow);
      for (const target of targets) roundRows(job, kernels, target, { x, back, firstRow, rows });
    }
  }
}

/** Some rows that stand at `x`, and at `back` as the type gives them back. */
interface WideRows {
  readonly x: number;
  readonly back: number;
  readonly firstRow: number;
  readonly rows: number;
}

function roundRows(
  job: EncodeJob,
  kernels: Kernels,
  { target, out, stats, weights }: PlacedTarget,
  { x, back, firstRow, rows }: WideRows,
): void {
  const { tensor } = job;
  const { dtype } = target;
  const length = rowLength(tensor);
  const y = out + (firstRow - job.firstRow) * rowBytes(tensor, dtype);
  if (weights === undefined) kernels.fromF32(dtype, x, y, rows * length);
  else quantizeWeighted(job, kernels, dtype, { x, y, weights, firstRow, rows });
  kernels.toF32(dtype, y, back, rows * length);
  const squaredError = kernels.call("error_stats")(x, back, rows * length, stats);
  if (!Number.isFinite(squaredError)) {
    checkOverflow(kernels, tensor, dtype, { x, back, firstRow, rows, length });
  }
}

export const encodeJob: JobKind<EncodeJob, EncodeResult[]> = {
  name: "encode",
  run: encode,
  reads: ({ tensor, files, firstRow, rows }) => storedRegions(files, tensor, firstRow, rows),
  about: ({ tensor, targets, firstRow, rows }) =>
    t`${aboutRows(tensor, firstRow, rows)} to ${targets.map(({ dtype }) => dtype).join(", ")}`,
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

/** Rows of a piece that are widened and rounded at a time. */
export function partOf(tensor: Tensor, pieceRows: number): number {
  return Math.min(pieceRows, Math.max(1, Math.floor(PART / rowLength(tensor))));
}

function placeWeights(tensor: Tensor, kernels: Kernels, { weights }: EncodeTarget): number | undefined {
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
  { tensor, firstRow: start }: EncodeJob,
  kernels: Kernels,
  dtype: DTypeName,
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
export function writeFully(output: EncodeOutput, bytes: Uint8Array): void {
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
    return new LlqError("no-space", t`${name}: the disk is full`, {
      hint: t`free some space or choose another output folder`,
      cause,
    });
  }
  const kind = code === "EMFILE" || code === "ENFILE" ? "system" : "no-space";
  return new LlqError(kind, t`${name}: cannot be written (${code ?? cause})`, { cause });
}
