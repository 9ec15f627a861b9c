import { closeSync, cpSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Kernels } from "../../src/kernels/kernels.js";
import { withLora } from "../../src/lora.js";
import { type Model, openModel } from "../../src/model.js";
import { readRowsF32 } from "../../src/rows/rows.js";
import { WorkerPool } from "../../src/run/threads/pool.js";
import { rowCount, rowLength } from "../../src/tensor.js";
import { refusal } from "../support/build/build.js";
import { writeTensors } from "../support/checkpoint.js";
import { GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// Ling's output matrix (norm_head): whatever it was, its columns are of length 1. families.test.ts has the numbers.

const scratch = scratchFolder();
const model = openModel(`${GOLDEN_FAMILIES}ling-lite`);

function outputOf({ tensors, container }: Model): Float32Array {
  const output = tensors.find(({ role }) => role === "output")!;
  const kernels = new Kernels();
  const files = container.files.map((file) => openSync(file, "r"));
  const address = kernels.reserve(rowCount(output) * rowLength(output) * 4);
  readRowsF32(kernels, files, output, 0, rowCount(output), address);
  for (const file of files) closeSync(file);
  return kernels.floats(address, rowCount(output) * rowLength(output)).slice();
}

function columnLengths(values: Float32Array, width: number): number[] {
  return Array.from({ length: width }, (_, column) => {
    let squares = 0;
    for (let i = column; i < values.length; i += width) squares += values[i]! ** 2;
    return Math.sqrt(squares);
  });
}

/** An adapter of rank 1 of the output. */
function adapterOf([rows, width]: readonly number[]): string {
  const folder = join(scratch, "adapter");
  mkdirSync(folder);
  const floats = (count: number) => new Float32Array(count).map((_, i) => Math.sin(i + 1));
  const stored = (shape: number[]) => ({
    dtype: "F32",
    shape,
    bytes: new Uint8Array(floats(shape[0]! * shape[1]!).buffer),
  });
  writeTensors(
    join(folder, "adapter_model.safetensors"),
    new Map([
      ["base_model.model.lm_head.lora_A.weight", stored([1, width!])],
      ["base_model.model.lm_head.lora_B.weight", stored([rows!, 1])],
    ]),
  );
  writeFileSync(
    join(folder, "adapter_config.json"),
    JSON.stringify({ peft_type: "LORA", r: 1, lora_alpha: 1 }),
  );
  return folder;
}

test("an adapter is merged before the columns are divided", () => {
  const { shape } = model.tensors.find(({ role }) => role === "output")!;
  const merged = withLora(model, [{ folder: adapterOf(shape), scale: 1 }]);
  const [plain, changed] = [outputOf(model), outputOf(merged)];
  expect(changed).not.toEqual(plain);
  for (const values of [plain, changed]) {
    for (const length of columnLengths(values, shape[1]!)) expect(Math.abs(length - 1)).toBeLessThan(1e-6);
  }
});

test("columns are measured when first asked for, of the file that was opened", async () => {
  const folder = join(scratch, "removed");
  cpSync(`${GOLDEN_FAMILIES}ling-lite`, folder, { recursive: true });
  const { tensors } = openModel(folder);
  const { steps } = tensors.find(({ role }) => role === "output")!;
  rmSync(join(folder, "model.safetensors"));
  expect(refusal(() => structuredClone(steps))).toMatch(/^bad-input: .*model\.safetensors: no such file/);
  const pool = new WorkerPool(1);
  const kind = { name: "checksum", run: () => 0, about: () => "" };
  // The thread has two in hand, so the third is sent when it has answered.
  const sent = await Promise.allSettled([{}, {}, { steps }].map((job) => pool.run(kind, job)));
  await pool.close();
  expect(String((sent[2] as PromiseRejectedResult).reason)).toContain("model.safetensors: no such file");
  const own = model.tensors.find(({ role }) => role === "output")!;
  expect(structuredClone(own.steps)).toEqual(own.steps);
});
