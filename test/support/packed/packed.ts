import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Container, TensorSource } from "../../../formats/container.js";
import { evaluatePerplexity } from "../../../src/eval/perplexity/perplexity.js";
import { Kernels } from "../../../src/kernels/kernels.js";
import { openModel } from "../../../src/model.js";
import { readRowsF32 } from "../../../src/rows/rows.js";
import { storedWhole, type Tensor } from "../../../src/tensor.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";

const kernels = new Kernels();

/** All rows of a source as f32, read `step` at a time. */
export function decoded(
  { files }: Container,
  source: TensorSource,
  step: number,
  parts: Partial<Tensor> = {},
): Float32Array {
  const { shape } = source;
  const tensor: Tensor = { ...storedWhole(source), name: "t", role: "ffn_up", layer: 0, shape, ...parts };
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

/** Small checkpoints after public reports, which are not part of this repository. */
export const CASES = "../shared/cases";

/** Perplexity of a case over the first two chunks of 64 tokens of samples/text.txt, without BOS. */
export async function casePerplexity(name: string): Promise<number> {
  const model = openModel(`${CASES}/${name}`);
  const tokens = createTokenizer(model.vocab).encode(readFileSync("samples/text.txt", "utf8"));
  const options = { context: 64, chunks: 2, bos: undefined, activations: "f32", threads: 0 } as const;
  return (await evaluatePerplexity(model, Int32Array.from(tokens), options)).ppl;
}
