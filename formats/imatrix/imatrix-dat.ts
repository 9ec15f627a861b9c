import { concatBytes, encodeUtf8 } from "#host/bytes";
import type { ImatrixSums } from "./imatrix.js";

/**
 * The older form of an importance matrix, byte for byte as `llama-imatrix --output-format dat` writes it (llama.cpp
 * 0c1e57098; imatrix.ts has the layout). It counts chunks, rounded up, and has one count for all experts: each column's mean
 * in f32 times that; an expert that no token reached has means of 1, an entry that none reached is left out.
 */
export function datFile({ entries, datasets, chunks, chunkSize = 0 }: ImatrixSums): Uint8Array {
  const names = [...entries.keys()].filter((name) => mostOf(entries.get(name)!.counts) > 0).sort();
  const parts = names.flatMap((name) => {
    const { sums, counts } = entries.get(name)!;
    const calls = Math.ceil(mostOf(counts) / Math.max(1, chunkSize));
    const columns = sums.length / counts.length;
    const means = Float32Array.from(sums, (sum, i) => {
      const count = counts[Math.floor(i / columns)]!;
      return (count > 0 ? Math.fround(Math.fround(sum) / Math.fround(count)) : 1) * calls;
    });
    return [...textOf(name), int32(calls), int32(sums.length), new Uint8Array(means.buffer)];
  });
  return concatBytes([int32(names.length), ...parts, int32(chunks), ...textOf(datasets.at(-1) ?? "")]);
}

function mostOf(counts: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < counts.length; i++) most = Math.max(most, counts[i]!);
  return most;
}

function textOf(text: string): Uint8Array[] {
  const bytes = encodeUtf8(text);
  return [int32(bytes.length), bytes];
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
