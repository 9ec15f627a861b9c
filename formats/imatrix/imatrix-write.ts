import type { Metadata } from "../container.js";
import { ggufHeader, meta, type TensorHeader } from "../gguf/gguf-write.js";
import { COUNTS, type ImatrixSums, SUMS } from "./imatrix.js";

/**
 * The GGUF file of an importance matrix, byte for byte as llama-imatrix writes it (llama.cpp 0c1e57098): entries by
 * name, each with its sums and its counts, both in f32.
 */
export function imatrixFile({ entries, datasets, chunks, chunkSize = 0 }: ImatrixSums): Uint8Array {
  const metadata: Metadata = new Map([
    ["general.type", meta.string("imatrix")],
    ["imatrix.datasets", meta.strings(datasets)],
    ["imatrix.chunk_count", meta.u32(chunks)],
    ["imatrix.chunk_size", meta.u32(chunkSize)],
  ]);
  const names = [...entries.keys()].sort();
  const tensors = names.flatMap((name) => {
    const { sums, counts } = entries.get(name)!;
    return [tensorOf(name + SUMS, sums, counts.length), tensorOf(name + COUNTS, counts, counts.length)];
  });
  const { header, offsets, byteLength } = ggufHeader(metadata, tensors);
  const file = new Uint8Array(byteLength);
  file.set(header);
  const view = new DataView(file.buffer);
  for (const [i, { values }] of tensors.entries()) {
    for (let k = 0; k < values.length; k++) view.setFloat32(offsets[i]! + 4 * k, values[k]!, true);
  }
  return file;
}

/** ggml leaves out outer dimensions of 1. */
function tensorOf(
  name: string,
  values: ArrayLike<number>,
  experts: number,
): TensorHeader & { values: ArrayLike<number> } {
  const columns = values.length / experts;
  return { name, dtype: "F32", shape: experts === 1 ? [columns] : [experts, columns], values };
}
