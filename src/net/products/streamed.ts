import type { DTypeName } from "../../../formats/dtype.js";
import type { Kernels } from "../../kernels/kernels.js";
import { type Descriptors, readRowsF32, readStoredRows, rowBytes } from "../../rows/rows.js";
import { keepsStoredValues, rowCount, rowLength, type Tensor } from "../../tensor.js";
import { type Form, multiplyInt8, packWeights } from "./int8.js";
import { type Membership, type Rows, shareOfRows, type Weights } from "./weights.js";

/** Weights in a slab, about: as f32 they fit a core's own cache. */
const SLAB_WEIGHTS = 1 << 18;
const MIN_SLAB_ROWS = 64;
export const MAX_SLAB_ROWS = 256;

/** The rows of a matrix, or some of them, cut into slabs. */
export function slabsOf(weight: Tensor, [from, total]: Rows = [0, rowCount(weight)]): Rows[] {
  const fitting = Math.ceil(SLAB_WEIGHTS / rowLength(weight) / 8) * 8;
  const step = Math.min(MAX_SLAB_ROWS, Math.max(MIN_SLAB_ROWS, fitting));
  return Array.from({ length: Math.ceil(total / step) }, (_, i) => [
    from + i * step,
    Math.min(step, total - i * step),
  ]);
}

const ALONE: Membership = { threads: 1, share: (units) => [0, units], exchange() {} };

/**
 * Weights that come from the file a slab of rows at a time, and are used for all tokens at hand: the whole matrix is never
 * in memory.
 * @param member of threads that have the same tokens; default: this thread has them for itself
 */
export function streamWeights(files: Descriptors, member: Membership = ALONE): Weights {
  const { threads, share, exchange } = member;
  return {
    threads,
    typeOf,
    slabs: (weight) => slabsOf(weight, shareOfRows(member, rowCount(weight))),
    multiply(kernels, weight, form, x, [first, rows], y, tokens, stride) {
      if (form === "f32") {
        const w = readFloats(kernels, files, weight, first, rows);
        // Relaxed only where --fast has put another in its place: fused multiply-adds make the result depend on the engine.
        kernels.call("matmul_f32")(x, w, y, tokens, rows, rowLength(weight));
      } else {
        const w = readPacked(kernels, files, weight, form, first, rows);
        multiplyInt8(kernels, x, w, y, tokens, stride);
      }
    },
    vector: (kernels, tensor) => readVector(kernels, files, tensor),
    transposed: (kernels, tensor) => readTransposed(kernels, files, tensor),
    lookUp: (kernels, table, row, dst) => readRowsF32(kernels, files, table, row, 1, dst),
    share,
    exchange,
  };
}

function typeOf(weight: Tensor): DTypeName | undefined {
  return keepsStoredValues(weight) ? weight.dtype : undefined;
}

/** Rows of a matrix as panels of f32. */
function readFloats(
  kernels: Kernels,
  files: Descriptors,
  weight: Tensor,
  first: number,
  rows: number,
): number {
  const k = rowLength(weight);
  const packed = kernels.reserve(Math.ceil(rows / 8) * 8 * k * 4);
  const mark = kernels.mark();
  const floats = kernels.reserve(rows * k * 4);
  readRowsF32(kernels, files, weight, first, rows, floats);
  kernels.call("pack_panels8")(floats, k * 4, rows, k, packed);
  kernels.reset(mark);
  return packed;
}

/** Rows of a matrix in an int8 layout. */
function readPacked(
  kernels: Kernels,
  files: Descriptors,
  weight: Tensor,
  form: Form,
  first: number,
  rows: number,
): number {
  const stored = kernels.reserve(rows * rowBytes(weight, weight.dtype));
  readStoredRows(kernels, files, weight, first, rows, stored);
  return packWeights(kernels, weight.dtype, form, stored, rows, rowLength(weight));
}

export function readVector(kernels: Kernels, files: Descriptors, tensor: Tensor): number {
  const address = kernels.reserve(rowLength(tensor) * 4);
  readRowsF32(kernels, files, tensor, 0, 1, address);
  return address;
}

export function readTransposed(kernels: Kernels, files: Descriptors, tensor: Tensor): number {
  const [rows, columns] = [rowCount(tensor), rowLength(tensor)];
  const transposed = kernels.reserve(rows * columns * 4);
  const mark = kernels.mark();
  const address = kernels.reserve(rows * columns * 4);
  readRowsF32(kernels, files, tensor, 0, rows, address);
  const [from, to] = [kernels.floats(address, rows * columns), kernels.floats(transposed, rows * columns)];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      to[column * rows + row] = from[row * columns + column]!;
    }
  }
  kernels.reset(mark);
  return transposed;
}
