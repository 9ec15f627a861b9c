import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openContainer } from "../../formats/open.js";
import { openModel } from "../../src/model.js";
import { type LlamaShape, PRESETS } from "../support/shapes.js";
import { type SyntheticOptions, writeSynthetic } from "../synthetic.js";

const root = mkdtempSync(join(tmpdir(), "llq-synthetic-"));
afterAll(() => rmSync(root, { recursive: true }));

function write(shape: LlamaShape, options: SyntheticOptions): string {
  const folder = mkdtempSync(join(root, "model-"));
  writeSynthetic(folder, shape, options);
  return folder;
}

test("a checkpoint like the sample's has the sample's tensors and shapes", () => {
  const shapes = (folder: string) =>
    new Map([...openContainer(folder).tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }]));
  expect(shapes(write(PRESETS.tiny, { dtype: "BF16" }))).toEqual(shapes("samples/tiny-llama"));
});

test("shards hold what one file would, and the same arguments give the same bytes", () => {
  const small: LlamaShape = { hidden: 64, layers: 2, heads: 4, kvHeads: 2, ffn: 96, vocab: 128, tied: true };
  const [a, b] = [1, 2].map(() => write(small, { dtype: "F16", shardBytes: 50_000, seed: 7 })) as [
    string,
    string,
  ];
  expect(readdirSync(a)).toEqual([
    "config.json",
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
    "model.safetensors.index.json",
  ]);
  for (const name of readdirSync(a)) {
    expect(Buffer.compare(readFileSync(join(a, name)), readFileSync(join(b, name)))).toBe(0);
  }
  const { tensors, files } = openContainer(a);
  expect(files.length).toBe(3);
  expect(tensors.size).toBe(2 + 2 * 9);
  expect(tensors.has("lm_head.weight")).toBe(false);
});

test("weights have mean 0, deviation 0.02 and heavier tails than a normal distribution, norms are about 1", () => {
  const { files, tensors } = openContainer(write(PRESETS.tiny, { dtype: "F32" }));
  const file = readFileSync(files[0]!);
  const moments = (name: string) => {
    const { offset, byteLength } = tensors.get(name)!;
    const values = Float64Array.from({ length: byteLength / 4 }, (_, i) => file.readFloatLE(offset + 4 * i));
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const moment = (n: number) => values.reduce((sum, x) => sum + (x - mean) ** n, 0) / values.length;
    return { mean, deviation: Math.sqrt(moment(2)), kurtosis: moment(4) / moment(2) ** 2 };
  };
  const { mean, deviation, kurtosis } = moments("lm_head.weight");
  expect(mean).toBeCloseTo(0, 3);
  expect(deviation).toBeCloseTo(0.02, 3);
  expect(kurtosis).toBeGreaterThan(5);
  expect(moments("model.norm.weight").mean).toBeCloseTo(1, 2);
});

test("a ChatGLM2 is one, of the shape of the 6B", () => {
  const model = openModel(
    write({ ...PRESETS["chatglm2-6b"], hidden: 256, layers: 1, ffn: 96, vocab: 2048 }, {}),
  );
  expect(model.architecture.name).toBe("chatglm");
  expect(model.hparams).toMatchObject({ headCount: 32, headCountKv: 2, contextLength: 32768 });
});
