import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readFrontMatter } from "../../src/card/front-matter.js";
import { generalKeys } from "../../src/card/general.js";
import { readMetadataFile } from "../../src/card/override.js";
import { openModel } from "../../src/model.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// What llama.cpp's converter says of made-up models; golden/make/general.py.
interface Golden {
  readonly name: string;
  readonly files: Readonly<Record<string, string | null>>;
  readonly tensors: Readonly<Record<string, readonly number[]>>;
  readonly keys: Readonly<Record<string, readonly [type: number, value: unknown]>>;
}

const scratch = scratchFolder();
const golden: readonly Golden[] = JSON.parse(
  readFileSync(new URL("../golden/general.json", import.meta.url), "utf8"),
);
const TYPES: Readonly<Record<string, number>> = { u32: 4, i32: 5, f32: 6, string: 8, array: 9 };

test.each(golden)(
  "$name is described as llama.cpp's converter describes it",
  ({ name, files, tensors, keys }) => {
    const folder = join(scratch, name);
    mkdirSync(folder);
    for (const [file, text] of Object.entries(files))
      if (text !== null) writeFileSync(join(folder, file), text);
    const config: unknown = JSON.parse(files["config.json"]!);
    const shapes = Object.entries(tensors).map(([tensor, shape]) => ({ name: tensor, shape }));
    const found = generalKeys({ name, folder, config, tensors: shapes }).map(([key, { type, value }]) => [
      key,
      [TYPES[type], value],
    ]);
    const expected = Object.entries(keys).map(([key, [type, value]]) => [
      key,
      [type, type === 6 ? Math.fround(value as number) : value],
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  },
);

test("--metadata and --model-name", () => {
  const file = join(scratch, "metadata.json");
  writeFileSync(
    file,
    JSON.stringify({
      "general.author": "Somebody",
      "general.tags": ["a", "b"],
      "general.sampling.top_k": 40,
      "general.sampling.temp": 0.5,
    }),
  );
  expect(readMetadataFile(file)).toEqual([
    ["general.author", { type: "string", value: "Somebody" }],
    ["general.tags", { type: "array", item: "string", value: ["a", "b"] }],
    ["general.sampling.top_k", { type: "i32", value: 40 }],
    ["general.sampling.temp", { type: "f32", value: 0.5 }],
  ]);
  const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
  const output = join(scratch, "out.gguf");
  const args = [cli, "convert", TINY_LLAMA, "-o", output, "--metadata", file, "--model-name", "Mine"];
  expect(spawnSync(process.execPath, args).status).toBe(0);
  const { metadata } = openModel(output);
  expect(
    ["name", "author", "tags", "sampling.top_k", "size_label"].map(
      (key) => metadata.get(`general.${key}`)?.value,
    ),
  ).toEqual(["Mine", "Somebody", ["a", "b"], 40, "4.1M"]);
  const wrong = [
    ...[[], { "llama.x": 1 }, { "general.author": 1 }, { "general.base_models": [{}] }],
    ...[
      { "general.sampling.top_k": 1.5 },
      { "general.sampling.top_k": 2 ** 31 },
      { "general.sampling.temp": true },
    ],
  ];
  for (const value of wrong) {
    writeFileSync(file, JSON.stringify(value));
    expect(refusal(() => readMetadataFile(file))).toMatch(/^bad-input: /);
  }
});

// What PyYAML 6 reads in them.
test.each([
  ["|\n  Two lines\n  of text\nb: c", "Two lines\nof text\n"],
  ["|-\n  x\n\n  y\n\nb: c", "x\n\ny"],
  ["|+\n  one\n\n\nb: c", "one\n\n\n"],
  ["|\n    four in\n      six in\nb: c", "four in\n  six in\n"],
  [">\n  one\n  two\n\n  three\nb: c", "one two\nthree\n"],
  [">\n  one\n    deeper\n  two\nb: c", "one\n  deeper\ntwo\n"],
  [">-\n  p1\n\n\n  p2", "p1\n\np2"],
])("a text in lines of its own: %j", (yaml, text) => {
  expect(readFrontMatter(`---\na: ${yaml}\n---\n`).get("a")).toBe(text);
});
