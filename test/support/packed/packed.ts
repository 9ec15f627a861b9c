import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import type { Container, TensorSource } from "../../../formats/container.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { readRowsF32 } from "../../../src/rows/rows.js";
import type { Tensor } from "../../../src/tensor.js";
import { storedTensor } from "../build/tensor.js";

const kernels = new Kernels();

/** All rows of a source as f32, read `step` at a time. */
export function decoded(
  { files }: Container,
  source: TensorSource,
  step: number,
  parts: Partial<Tensor> = {},
): Float32Array {
  const { shape } = source;
  const tensor = storedTensor(source, parts);
  const [rows, columns] = shape as [number, number];
  const descriptors = files.map((file) => openSync(file, "r"));
  const result = new Float32Array(rows * columns);
  try {
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      kernels.reset();
      const address = kernels.reserve(count * columns * 4);
      readRowsF32(kernels, descriptors, tensor, first, count, address);
      result.set(kernels.floats(address, count * columns), first * columns);
    }
  } finally {
    for (const fd of descriptors) closeSync(fd);
  }
  return result;
}

/** SHA-256 of the values' bytes. */
export function digestOf(values: Float32Array): string {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}
