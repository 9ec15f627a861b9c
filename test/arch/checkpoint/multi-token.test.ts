import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openContainer } from "../../../formats/open.js";
import { withoutMultiToken } from "../../../src/arch/checkpoint/multi-token.js";
import { type ArrayParts, buildGguf, refusal, T } from "../../support/build/build.js";
import { scratchFolder } from "../../support/scratch.js";

const folder = scratchFolder();

const list = (...values: number[]): ArrayParts => ({ item: T.u32, values });

/** A GGUF of so many blocks, of which the last predict more tokens. */
function gguf(blocks: number, predicting: number | undefined) {
  const names = [
    "token_embd.weight",
    ...Array.from({ length: blocks }, (_, i) => `blk.${i}.attn_norm.weight`),
    "blk.11.nextn.eh_proj.weight",
    "output.weight",
  ];
  const path = join(folder, `${blocks}-${predicting}.gguf`);
  const { bytes } = buildGguf({
    fields: [
      ["general.architecture", T.string, "deepseek2"],
      ["general.name", T.string, "A"],
      ["general.layers", T.array, list(...Array(blocks).keys())],
      ["deepseek2.block_count", T.u32, blocks],
      ["deepseek2.attention.head_count_kv", T.array, list(...Array(blocks).keys())],
      ["deepseek2.rope.dimension_sections", T.array, list(1, 2)],
      ["deepseek2.vocab_size", T.u32, 4],
      ...(predicting === undefined
        ? []
        : [["deepseek2.nextn_predict_layers", T.u32, predicting] as [string, number, number]]),
    ],
    tensors: names.map((name, i) => ({ name, dims: [4], offset: i * 32 })),
    data: names.length * 32,
  });
  writeFileSync(path, bytes);
  return openContainer(path);
}

test("a GGUF is read without the blocks that predict more than the next token", () => {
  const opened = gguf(12, 2);
  const { metadata, tensors, leftOut } = withoutMultiToken(opened);
  const value = (key: string) => metadata.get(key)?.value;
  expect([...metadata.keys()]).toEqual(
    [...opened.metadata.keys()].filter((key) => key !== "deepseek2.nextn_predict_layers"),
  );
  expect(metadata.get("deepseek2.block_count")).toEqual({ type: "u32", value: 10 });
  // A value for each block is cut with them; lists of others, and of all models, stay.
  expect(value("deepseek2.attention.head_count_kv")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(value("general.layers")).toHaveLength(12);
  expect(value("deepseek2.rope.dimension_sections")).toEqual([1, 2]);
  expect(value("general.name")).toBe("A");
  expect(value("deepseek2.vocab_size")).toBe(4);
  expect(leftOut).toEqual([
    "blk.10.attn_norm.weight",
    "blk.11.attn_norm.weight",
    "blk.11.nextn.eh_proj.weight",
  ]);
  expect([...tensors.keys()]).toEqual([...opened.tensors.keys()].filter((name) => !leftOut?.includes(name)));
});

test("one without such blocks is as it was, and one with no others is refused", () => {
  for (const opened of [gguf(12, undefined), gguf(12, 0)]) expect(withoutMultiToken(opened)).toBe(opened);
  for (const predicting of [12, 13]) {
    expect(refusal(() => withoutMultiToken(gguf(12, predicting)))).toBe(
      `bad-input: ${join(folder, `12-${predicting}.gguf`)}: ${predicting} of 12 blocks predict several tokens`,
    );
  }
  expect(withoutMultiToken(gguf(12, 11)).metadata.get("deepseek2.block_count")?.value).toBe(1);
});
