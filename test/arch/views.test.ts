import { join } from "node:path";
import { expect, test } from "vitest";
import type { Container, TensorSource } from "../../formats/container.js";
import { openContainer } from "../../formats/open.js";
import { bindHuggingFace } from "../../src/arch/bind.js";
import { withoutStacks } from "../../src/arch/checkpoint/stacked-experts.js";
import { type Model, openModel } from "../../src/model.js";
import { refusal } from "../support/build/build.js";
import { changedCheckpoint, type Stored } from "../support/checkpoint.js";
import { GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// Tensors whose elements are not where a cut by rows would look for them: refused by name, and never read as if they were.

const folder = scratchFolder();

/** What a family's checkpoint ends in when one of its tensors is a view. */
function asView(family: string, name: RegExp): string {
  const model: Model = openModel(join(GOLDEN_FAMILIES, family));
  const view = (source: TensorSource) => {
    const strides = source.shape.map((_, i) => source.shape.slice(0, i).reduce((a, b) => a * b, 1));
    return { ...source, strides };
  };
  const tensors = new Map(
    [...model.container.tensors].map(([key, source]) => [key, name.test(key) ? view(source) : source]),
  );
  const container: Container = { ...model.container, tensors };
  expect([...tensors.values()].some(({ strides }) => strides !== undefined)).toBe(true);
  return refusal(() =>
    bindHuggingFace(model.architecture, model.hparams, container, {
      vocabSize: model.hparams.vocabSize,
      tied: false,
      keys: [],
    }),
  );
}

test("a convolution whose middle dimension goes, of Mamba", () => {
  expect(asView("mamba", /layers\.0\.mixer\.conv1d\.weight/)).toMatch(
    /^unsupported: tensor .*layers\.0\.mixer\.conv1d\.weight is a view whose elements are not in order/,
  );
});

test("experts that are stacked", () => {
  const container = openContainer(join(GOLDEN_FAMILIES, "qwen3-moe"));
  const { architecture } = openModel(join(GOLDEN_FAMILIES, "qwen3-moe"));
  const file = { file: 0, offset: 0, byteLength: 4 * 8 * 6 * 4, dtype: "F32" } as const;
  const stack = (strides?: number[]): Container => ({
    ...container,
    tensors: new Map([
      ["model.layers.0.mlp.experts.down_proj", { ...file, shape: [4, 8, 6], ...(strides && { strides }) }],
    ]),
  });
  const { tensors } = withoutStacks(stack(), architecture);
  expect(tensors.get("model.layers.0.mlp.experts.1.down_proj.weight")).toMatchObject({ offset: 8 * 6 * 4 });
  expect(refusal(() => withoutStacks(stack([48, 1, 8]), architecture))).toMatch(
    /^unsupported: .*stacked experts model\.layers\.0\.mlp\.experts\.down_proj that are a view$/,
  );
});

test("experts of which one is of another type", () => {
  const name = /layers\.1\..*experts\.2\.w2\.weight$/;
  const other = (each: Stored): Stored => ({ ...each, dtype: each.dtype === "F16" ? "BF16" : "F16" });
  const changed = changedCheckpoint(join(GOLDEN_FAMILIES, "mixtral"), join(folder, "mixed"), {
    tensors: (tensors) =>
      new Map([...tensors].map(([key, each]) => [key, name.test(key) ? other(each) : each])),
  });
  expect(refusal(() => openModel(changed))).toMatch(
    /^bad-input: tensor .*layers\.1\..*experts\.2\.w2\.weight is F16, but .*experts\.0\.w2\.weight is BF16$/,
  );
});
