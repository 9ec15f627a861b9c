import { describe, expect, test } from "vitest";
import { selectFiles } from "../../src/hub/select.js";
import { refusal } from "../support/build/build.js";

// Names alone: what of a repository's files is a model's, as transformers, the Hub's mistral and Meta's repositories,
// and gguf-split call them.

const select = (files: string[], path = "") => selectFiles("hf:a/b", files, path);

const WHOLE = [
  "model.safetensors",
  "pytorch_model.bin",
  "consolidated.00.pth",
  "consolidated.00.pt",
  "consolidated.safetensors",
  "flax_model.msgpack",
];
const PARTED: readonly (readonly [string, string])[] = [
  ["model.safetensors.index.json", "model-00001-of-00001.safetensors"],
  ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"],
  ["params.json", "consolidated.01.pth"],
  ["params.json", "consolidated-00001-of-00002.safetensors"],
  ["flax_model.msgpack.index.json", "flax_model-00001-of-00001.msgpack"],
];
const likeButNot = (name: string) => [`x${name}`, `${name}x`, name.replaceAll(".", "_")];

describe("weights", () => {
  test.each(WHOLE)("%s is a model, and what is called almost so is none", (name) => {
    expect(select(["config.json", name]).weights).toEqual([name]);
    for (const other of likeButNot(name)) expect(select(["config.json", other]).weights, other).toEqual([]);
  });

  test.each(PARTED)("%s and %s are, and neither without the other", (index, part) => {
    expect(select(["config.json", part, index]).weights).toEqual([index, part]);
    for (const other of likeButNot(index))
      expect(select(["config.json", part, other]).weights, other).toEqual([]);
    for (const other of likeButNot(part))
      expect(select(["config.json", other, index]).weights, other).toEqual([]);
  });

  test("an index and parts come before one file, and the forms in their order", () => {
    const [index, part] = PARTED[0]!;
    expect(select([WHOLE[0]!, part, index]).weights).toEqual([index, part]);
    expect(select([...WHOLE, ...PARTED[1]!]).weights).toEqual(["model.safetensors"]);
    expect(select(["pytorch_model.bin", "flax_model.msgpack"]).weights).toEqual(["pytorch_model.bin"]);
  });

  test("one below a folder is none of the root's", () => {
    expect(select(["config.json", "onnx/model.safetensors"]).weights).toEqual([]);
    expect(select(["config.json", "onnx/model.safetensors"], "onnx")).toEqual({
      weights: ["onnx/model.safetensors"],
      others: [],
      open: "onnx",
    });
  });
});

describe("parts of a GGUF", () => {
  const parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];

  test.each<[string, string[], string, string[]]>([
    ["all of one stem and count", parts, parts[1]!, parts],
    ["not of another stem", [...parts, "n-00001-of-00002.gguf"], parts[0]!, parts],
    ["not of another count", [...parts, "m-00001-of-00003.gguf"], parts[0]!, parts],
    ["not of another folder", [...parts, "old/m-00001-of-00002.gguf"], parts[0]!, parts],
    ["a file that has no number is whole", ["m.gguf", ...parts], "m.gguf", ["m.gguf"]],
    ["nor is one whose number is short", [...parts, "m-1-of-2.gguf"], "m-1-of-2.gguf", ["m-1-of-2.gguf"]],
  ])("%s", (_, files, path, weights) => {
    expect(select(files, path)).toEqual({ weights, others: [], open: path });
  });

  test("the root's only model is opened by its first part, whatever stands beside it", () => {
    const files = [parts[1]!, "mmproj-m.gguf", "sub/mmproj.gguf", parts[0]!, "config.json"];
    expect(select(files)).toEqual({ weights: [parts[1], parts[0]], others: [], open: parts[0] });
    expect(select(["my-mmproj.gguf"]).open).toBe("my-mmproj.gguf");
    expect(refusal(() => select([...parts, "n.gguf"]))).toContain("has 2 GGUF files");
    expect(refusal(() => select([parts[1]!]))).toContain("no model in this repository");
  });
});

describe("what else is wanted", () => {
  test.each([
    ..."config generation_config params quantize_config quant_config hf_quant_config adapter_config tokenizer"
      .split(" ")
      .map((name) => `${name}.json`),
    ..."tokenizer_config special_tokens_map added_tokens vocab chat_template tekken"
      .split(" ")
      .map((name) => `${name}.json`),
    ...["merges.txt", "tokenizer.bin", "chat_template.jinja", "additional_chat_templates/rag.jinja"],
    ...["tokenizer.model", "spiece.model", "qwen.tiktoken", "tokenizer.model.v3", "tokenizer.model.v11m1"],
  ])("%s", (name) => {
    expect(select(["model.safetensors", name]).others).toEqual([name]);
    expect(select(["sub/model.safetensors", `sub/${name}`], "sub").others).toEqual([`sub/${name}`]);
    expect(select(["sub/model.safetensors", `sub/${name}`], "sub/model.safetensors").others).toEqual([
      `sub/${name}`,
    ]);
  });

  test.each([
    ...["xconfig.json", "config.jsonl", "config_json", "configs.json", "config.json.bak", "xmerges.txt"],
    ...["merges.txt.gz", "mergesxtxt", "xtokenizer.bin", "tokenizer.bin.gz", "xchat_template.jinja"],
    ...["chat_template.jinja2", "additional_chat_templates/a/b.jinja", "additional_chat_templates/a.txt"],
    ...[
      "model",
      "tokenizermodel",
      "a.model.txt",
      "tokenizer.model.v",
      "tokenizer.model.v3m",
      "tokenizer.model.v3x",
    ],
    ...["xtokenizer.model.v3", "config.json/x", "README.md", "training_args.bin"],
  ])("not %s", (name) => {
    expect(select(["model.safetensors", name]).others).toEqual([]);
  });
});

test("a folder is no beginning of another's name", () => {
  const files = ["ab/model.safetensors", "a/config.json"];
  expect(select(files, "a")).toMatchObject({ weights: [], open: "a" });
});

test("of many GGUF files twelve are named, as they are asked for", () => {
  const files = Array.from({ length: 14 }, (_, i) => `q/m${i}.gguf`);
  const hint = (count: number) => {
    try {
      selectFiles("hf:a/b/q@v1", files.slice(0, count), "q");
      return expect.unreachable();
    } catch (error) {
      return (error as { hint: string }).hint;
    }
  };
  const named = Array.from({ length: 12 }, (_, i) => `m${i}.gguf`).join(", ");
  expect(hint(12)).toBe(`hf:a/b/q/<file>@v1 with one of ${named}`);
  expect(hint(14)).toBe(`hf:a/b/q/<file>@v1 with one of ${named} and 2 more`);
});
