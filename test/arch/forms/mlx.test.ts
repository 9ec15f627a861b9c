import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Container, TensorSource } from "../../../formats/container.js";
import { openContainer } from "../../../formats/open.js";
import { withoutMlxForm } from "../../../src/arch/checkpoint/mlx-form.js";
import { architectureOfConfig } from "../../../src/arch/index.js";
import { refusal } from "../../support/build/build.js";

// The names and shapes that mlx-lm 0.32.2 saved of test/golden/families, and the published ones beside them. What whole
// checkpoints of its say: packed/checkpoints.test.ts.

const FAMILIES = "test/golden/families";
const folderOf = (family: string) => `${FAMILIES}/${family}/`;

function publishedOf(family: string, tensors: Readonly<Record<string, readonly number[]>>): Container {
  const file = `${folderOf(family)}config.json`;
  const source = (shape: readonly number[]): TensorSource => {
    const byteLength = shape.reduce((product, length) => product * length, 2);
    return { file: 0, offset: 0, byteLength, dtype: "BF16", shape };
  };
  const container: Container = {
    format: "safetensors",
    files: ["model.safetensors"],
    tensors: new Map(Object.entries(tensors).map(([name, shape]) => [name, source(shape)])),
    opaque: new Map(),
    metadata: new Map(),
  };
  return withoutMlxForm(container, architectureOfConfig(file, JSON.parse(readFileSync(file, "utf8"))));
}

const layer = "model.layers.1";
// biome-ignore format: rows
const forms: [string, string, number[], string, number[]][] = [
  ["qwen3-moe",       `${layer}.mlp.switch_mlp.gate_proj.weight`,              [6, 32, 32], `${layer}.mlp.experts.5.gate_proj.weight`, [32, 32]],
  ["qwen3-moe",       `${layer}.mlp.switch_mlp.down_proj.weight`,              [6, 32, 32], `${layer}.mlp.experts.5.down_proj.weight`, [32, 32]],
  ["mixtral",         `${layer}.block_sparse_moe.switch_mlp.up_proj.weight`,   [4, 64, 32], `${layer}.block_sparse_moe.experts.3.w3.weight`, [64, 32]],
  ["phi-moe",         `${layer}.block_sparse_moe.switch_mlp.down_proj.weight`, [4, 32, 32], `${layer}.block_sparse_moe.experts.3.w2.weight`, [32, 32]],
  ["jamba",           `${layer}.feed_forward.switch_mlp.up_proj.weight`,       [4, 32, 32], `${layer}.feed_forward.experts.0.up_proj.weight`, [32, 32]],
  ["dots1",           `${layer}.mlp.experts.up_proj.weight`,                   [4, 32, 32], `${layer}.mlp.experts.2.up_proj.weight`, [32, 32]],
  ["nemotron-h-moe",  "backbone.layers.1.mixer.switch_mlp.fc1.weight",         [6, 32, 32], "backbone.layers.1.mixer.experts.1.up_proj.weight", [32, 32]],
  ["nemotron-h-moe",  "backbone.layers.1.mixer.switch_mlp.fc2.weight",         [6, 32, 32], "backbone.layers.1.mixer.experts.1.down_proj.weight", [32, 32]],
  ["lfm2-moe",        `${layer}.feed_forward.up_proj.weight`,                  [64, 32],    `${layer}.feed_forward.w3.weight`, [64, 32]],
  ["lfm2-moe",        `${layer}.feed_forward.switch_mlp.gate_proj.weight`,     [4, 32, 32], `${layer}.feed_forward.experts.3.w1.weight`, [32, 32]],
  ["lfm2",            `${layer}.conv.conv.weight`,                             [32, 3, 1],  `${layer}.conv.conv.weight`, [32, 1, 3]],
  ["ling-2",          `${layer}.mlp.gate.gate_proj.weight`,                    [4, 32],     `${layer}.mlp.gate.weight`, [4, 32]],
  ["laguna",          `${layer}.mlp.gate.proj.weight`,                         [4, 32],     `${layer}.mlp.gate.weight`, [4, 32]],
  ["deepseek-v3",     `${layer}.self_attn.embed_q.weight`,                     [4, 32, 16], `${layer}.self_attn.k_b_proj.weight`, [4, 32, 16]],
  ["deepseek-v3",     `${layer}.self_attn.unembed_out.weight`,                 [4, 24, 32], `${layer}.self_attn.v_b_proj.weight`, [4, 24, 32]],
  ["mamba",           "backbone.layers.1.mixer.conv1d.weight",                 [64, 4, 1],  "backbone.layers.1.mixer.conv1d.weight", [64, 1, 4]],
];
test.each(forms)("%s: %s", (family, name, shape, published, own) => {
  expect(publishedOf(family, { [name]: shape }).tensors.get(published)?.shape).toEqual(own);
});

test.each(["llama", "qwen3-moe", "mamba", "lfm2-moe", "deepseek-v3"])(
  "%s as it was published stays",
  (family) => {
    const container = openContainer(`${folderOf(family)}model.safetensors`);
    const file = `${folderOf(family)}config.json`;
    const architecture = architectureOfConfig(file, JSON.parse(readFileSync(file, "utf8")));
    expect(withoutMlxForm(container, architecture)).toBe(container);
  },
);

test("weights that mlx-lm has multiplied: refused", () => {
  const name = "model.layers.0.mamba.conv1d.weight";
  expect(refusal(() => publishedOf("falcon-h1", { [name]: [128, 4, 1] }))).toBe(
    `unsupported: model.safetensors: ${name} is as mlx-lm saves it, which multiplies weights by what config.json says`,
  );
});

test.each([[[6, 32]], [[131072, 2, 0]]])("a stack of %s: refused", (shape) => {
  const name = `${layer}.mlp.switch_mlp.up_proj.weight`;
  expect(refusal(() => publishedOf("qwen3-moe", { [name]: shape }))).toBe(
    `bad-input: model.safetensors: stacked experts ${name} are ${shape.join(" x ")}`,
  );
});

test.each([
  ["ling-2", `${layer}.mlp.gate.gate_proj.weight`, [4, 32], `${layer}.mlp.gate.weight`],
  [
    "qwen3-moe",
    `${layer}.mlp.switch_mlp.up_proj.weight`,
    [6, 32, 32],
    `${layer}.mlp.experts.5.up_proj.weight`,
  ],
])("%s with %s in both forms: refused", (family, name, shape, published) => {
  const tensors = { [name]: shape, [published]: [32, 32] };
  const message = `bad-input: model.safetensors: has ${published} twice, once as ${name}`;
  expect(refusal(() => publishedOf(family, tensors))).toBe(message);
  const other = Object.fromEntries(Object.entries(tensors).reverse());
  expect(refusal(() => publishedOf(family, other))).toBe(message);
});
