import type { Kernels } from "../kernels/kernels.js";
import type { ScaledRun, ValueStep } from "../tensor.js";

/** Does what the step says to `rows` rows of `length` floats at `address`, the tensor's from `first` on, in place. */
export function applyStep(
  kernels: Kernels,
  step: ValueStep,
  address: number,
  first: number,
  rows: number,
  length: number,
): void {
  const x = kernels.floats(address, rows * length);
  switch (step.kind) {
    case "add":
      for (let i = 0; i < x.length; i++) x[i]! += step.value;
      break;
    case "negExp":
      for (let i = 0; i < x.length; i++) x[i] = -Math.exp(x[i]!);
      break;
    case "scale":
      for (const by of step.by) scale(x, by);
      break;
    case "scaleRows":
      for (let row = 0; row < rows; row++) {
        scale(x.subarray(row * length, (row + 1) * length), factorOf(step.runs, first + row));
      }
      break;
    case "tileColumns":
      for (let at = 0; at < x.length; at += length) tile(x.subarray(at, at + length), step);
      break;
    case "normalizeRows":
      for (let at = 0; at < x.length; at += length) normalize(x.subarray(at, at + length));
      break;
    case "normalizeColumns":
      for (let i = 0; i < x.length; i++) x[i]! /= step.lengths[i % length]!;
      break;
  }
}

/** In floats, as torch multiplies a tensor by a number. */
function scale(x: Float32Array, by: number): void {
  const factor = Math.fround(by);
  for (let i = 0; i < x.length; i++) x[i]! *= factor;
}

function factorOf(runs: readonly ScaledRun[], row: number): number {
  let before = 0;
  for (const { count, by } of runs) {
    before += count;
    if (row < before) return by;
  }
  throw new RangeError(`no factor for row ${row}`);
}

function tile(row: Float32Array, { groups, each }: { readonly groups: number; readonly each: number }): void {
  const [stored, width] = [row.slice(), row.length / (groups * each)];
  for (let group = 0; group < groups; group++) {
    for (let i = 0; i < each; i++) {
      const from = (group * each + i) * width;
      row.set(stored.subarray(from, from + width), (i * groups + group) * width);
    }
  }
}

/** As torch.nn.functional.normalize, whose least length is this. */
const LEAST_LENGTH = 1e-12;

function normalize(row: Float32Array): void {
  let squares = 0;
  for (const value of row) squares += value * value;
  const length = Math.max(Math.sqrt(squares), LEAST_LENGTH);
  for (let i = 0; i < row.length; i++) row[i]! /= length;
}
