import type { Container } from "../../../formats/container.js";
import { Kernels } from "../../kernels/kernels.js";
import { closeLate, type LateFile, lateFile } from "../../rows/late.js";
import { readRowsF32 } from "../../rows/rows.js";
import { rowCount, rowLength, type Tensor, type ValueStep } from "../../tensor.js";

/** Floats that are read at once. */
const PIECE = 1 << 16;
/** What is added to a length. */
const EPSILON = 1e-7;

/**
 * The tensors, with the lengths of their columns where a step divides by them. They are measured when first asked for, or sent
 * to another thread: that reads all rows, for which who only looks at a model need not wait.
 */
export function withColumnLengths(tensors: readonly Tensor[], { files }: Container): readonly Tensor[] {
  return tensors.map((tensor) => {
    const index = tensor.steps.findIndex(({ kind }) => kind === "normalizeColumns");
    if (index < 0) return tensor;
    const before = { ...tensor, steps: tensor.steps.slice(0, index) };
    const late = files.map(lateFile);
    let lengths: readonly number[] | undefined;
    const step: ValueStep = {
      kind: "normalizeColumns",
      get lengths() {
        lengths ??= columnLengths(before, late);
        return lengths;
      },
    };
    return { ...tensor, steps: tensor.steps.with(index, step) };
  });
}

/** √Σw² of each column plus epsilon, all in f32 and row by row, as torch.norm adds up along the first dimension. */
function columnLengths(tensor: Tensor, files: readonly LateFile[]): number[] {
  const kernels = new Kernels();
  const [rows, length] = [rowCount(tensor), rowLength(tensor)];
  const step = Math.max(1, Math.floor(PIECE / length));
  const sums = new Float32Array(length);
  try {
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      kernels.reset();
      const address = kernels.reserve(count * length * 4);
      readRowsF32(kernels, files, tensor, first, count, address);
      const values = kernels.floats(address, count * length);
      for (let i = 0; i < values.length; i++) sums[i % length]! += Math.fround(values[i]! ** 2);
    }
  } finally {
    closeLate();
  }
  return Array.from(sums, (sum) => Math.fround(Math.fround(Math.sqrt(sum)) + Math.fround(EPSILON)));
}
