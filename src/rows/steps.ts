import type { Kernels } from "../kernels/kernels.js";
import type { ValueStep } from "../tensor.js";

/** Does what the step says to `rows` rows of `length` floats at `address`, in place. */
export function applyStep(
  kernels: Kernels,
  step: ValueStep,
  address: number,
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
    case "tileColumns":
      for (let at = 0; at < x.length; at += length) tile(x.subarray(at, at + length), step);
      break;
    case "normalizeRows":
      for (let at = 0; at < x.length; at += length) normalize(x.subarray(at, at + length));
      break;
  }
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
