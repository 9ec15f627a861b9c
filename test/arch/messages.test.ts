import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LlqError } from "../../formats/errors.js";
import { openModel } from "../../src/model.js";
import { type Changes, changedCheckpoint } from "../support/checkpoint.js";
import { GOLDEN_FAMILIES } from "../support/families.js";
import { copyTinyLlama, scratchFolder } from "../support/scratch.js";

// What people bring in place of a model: each is told what it is, and what to do.
const scratch = scratchFolder();
let copies = 0;

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 3000\n`;
const PAGE = "\n<!DOCTYPE html><html><body>Sign in</body></html>\n";

/** The refusal and its hint. */
function refused(path: string): string {
  try {
    openModel(path);
  } catch (error) {
    if (error instanceof LlqError) return `${error.code}: ${error.message} | ${error.hint}`;
    throw error;
  }
  return "accepted";
}

describe.each([
  ["a Git LFS pointer", POINTER, "a Git LFS pointer instead of the file | run git lfs pull"],
  ["a web page", PAGE, "a web page | fetch the file again"],
])("%s", (_, content, message) => {
  test.each([
    "model.safetensors",
    "config.json",
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
  ])("in the place of %s", (name) => {
    const folder = copyTinyLlama(scratch, String(copies++));
    if (name === "tokenizer.json") rmSync(join(folder, "tokenizer.model"));
    writeFileSync(join(folder, name), content);
    expect(refused(folder)).toBe(`bad-input: ${join(folder, name)}: ${message}`);
  });
});

test("a folder that holds a GGUF, and a name of the Hub", () => {
  const folder = join(scratch, "only-gguf");
  mkdirSync(folder);
  writeFileSync(join(folder, "model-q4.gguf"), "");
  expect(refused(folder)).toContain(`did you mean ${join(folder, "model-q4.gguf")}?`);
  expect(refused("some-org/Some-Model-1.5B")).toBe(
    "bad-input: some-org/Some-Model-1.5B: no such file or folder | did you mean hf:some-org/Some-Model-1.5B, which is fetched from the Hugging Face Hub?",
  );
  expect(refused("./some/model")).toContain("no such file or folder | there is no folder ./some");
});

describe("what is missing", () => {
  const changed = (changes: Changes) =>
    changedCheckpoint(join(GOLDEN_FAMILIES, "qwen2"), join(scratch, String(copies++)), changes);

  test("the output of a base model that was saved alone", () => {
    const folder = changed({
      tensors: (all) => new Map([...all].filter(([name]) => name !== "lm_head.weight")),
    });
    expect(refused(folder)).toContain(
      "the output, lm_head.weight, is missing, and config.json does not tie it",
    );
  });

  test("weights that are packed, and config.json says nothing of it", () => {
    const folder = changed({
      tensors: (all) =>
        new Map(
          [...all].flatMap(([name, stored]) => {
            if (!/_proj\.weight$/.test(name)) return [[name, stored]];
            const bytes = stored.bytes.subarray(0, stored.bytes.length / 4);
            const absmax = { dtype: "F32", shape: [1], bytes: new Uint8Array(4) };
            return [
              [name, { dtype: "U8", shape: [bytes.length, 1], bytes }],
              [`${name}.absmax`, absmax],
            ];
          }),
        ),
    });
    expect(refused(folder)).toMatch(
      /^unsupported: .* is U8 \| it is packed, and config\.json does not say how/,
    );
  });

  test("another prefix", () => {
    const folder = changed({
      tensors: (all) => new Map([...all].map(([name, stored]) => [name.replace(/^model\./, "net."), stored])),
    });
    expect(refused(folder)).toContain(
      "there is net.embed_tokens.weight in the place of model.embed_tokens.weight",
    );
  });

  test("a layer: of one file, and of one of two", () => {
    const folder = changed({
      tensors: (all) => new Map([...all].filter(([name]) => !name.includes("layers.1."))),
    });
    expect(refused(folder)).toContain("it is all in one file: was it saved with another configuration");
    const part = join(folder, "model-00001-of-00002.safetensors");
    renameSync(join(folder, "model.safetensors"), part);
    expect(refused(part)).toContain("is a shard missing?");
  });
});

describe("tokenizer_config.json", () => {
  test("with Python's numbers that are none", () => {
    const folder = copyTinyLlama(scratch, String(copies++));
    const text = readFileSync(join(folder, "tokenizer_config.json"), "utf8");
    const changed = text.replace("{", '{"a": Infinity, "b": [-Infinity, NaN], "c": "a \\"NaN\\" Infinity",');
    writeFileSync(join(folder, "tokenizer_config.json"), changed);
    expect(openModel(folder).vocab.special.bos).toBe(1);
    const config = readFileSync(join(folder, "config.json"), "utf8").replace(
      /"rms_norm_eps": [^,]*/,
      '"rms_norm_eps": NaN',
    );
    writeFileSync(join(folder, "config.json"), config);
    expect(refused(folder)).toContain("rms_norm_eps");
  });

  test("with a chat template that is none", () => {
    const folder = copyTinyLlama(scratch, String(copies++));
    const config = JSON.parse(readFileSync(join(folder, "tokenizer_config.json"), "utf8"));
    writeFileSync(
      join(folder, "tokenizer_config.json"),
      JSON.stringify({ ...config, chat_template: { a: 1 } }),
    );
    const { vocab, remarks } = openModel(folder);
    expect(vocab.chatTemplates.size).toBe(0);
    expect(remarks).toEqual([expect.stringContaining("chat_template is no template")]);
  });
});
