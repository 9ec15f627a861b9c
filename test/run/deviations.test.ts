import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../formats/open.js";
import { openModel } from "../../src/model.js";
import { measureDeviations } from "../../src/run/measure/deviations.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// The measure is a sum of squares, worked out by hand here.

const base = openModel(TINY_LLAMA);

/** tiny-llama with two weights of a tensor replaced, and what that adds to the squares of errors. */
function changed() {
  const copy = copyTinyLlama(scratchFolder(), "changed");
  const file = join(copy, "model.safetensors");
  const { offset } = openContainer(file).tensors.get("model.layers.1.mlp.down_proj.weight")!;
  const bytes = readFileSync(file);
  let squares = 0;
  for (const [at, bits, value] of [
    [3, 0x4000, 2],
    [5000, 0xbfc0, -1.5],
  ] as const) {
    const was = Buffer.alloc(4);
    bytes.copy(was, 2, offset + 2 * at, offset + 2 * at + 2);
    squares += (value - was.readFloatLE()) ** 2;
    bytes.writeUInt16LE(bits, offset + 2 * at);
  }
  writeFileSync(file, bytes);
  return { model: openModel(copy), squares };
}

test.each([0, 2])("what weights differ by, on %d threads", async (threads) => {
  const { model, squares } = changed();
  const seen: number[][] = [];
  const onProgress = (done: number, total: number) => seen.push([done, total]);
  const [same, other] = await measureDeviations(base, [base, model], { threads, onProgress });
  expect(same!.map(({ name }) => name)).toEqual(base.tensors.map(({ name }) => name));
  expect(same!.filter(({ squaredError }) => squaredError !== 0)).toEqual([]);
  const apart = other!.filter(({ squaredError }) => squaredError !== 0);
  expect(apart).toMatchObject([{ name: "blk.1.ffn_down.weight", layer: 1, dtype: "BF16" }]);
  expect(apart[0]!.squaredError / squares).toBeCloseTo(1, 6);
  expect(apart[0]!.squaredSum).toBe(same!.find(({ name }) => name === apart[0]!.name)!.squaredSum);
  expect(seen.at(-1)).toEqual([39, 39]);
});

test("tensors that a model lacks, or has in another shape, are not compared", async () => {
  const without = { ...base, tensors: base.tensors.filter(({ layer }) => layer !== 0) };
  const [norm] = base.tensors.filter(({ name }) => name === "output_norm.weight");
  const reshaped = { ...base, tensors: [{ ...norm!, shape: [norm!.shape[0]! / 2, 2] }] };
  const [fewer, none] = await measureDeviations(base, [without, reshaped], { threads: 0 });
  expect(fewer!.map(({ name }) => name)).toEqual(without.tensors.map(({ name }) => name));
  expect(none).toEqual([]);
});
