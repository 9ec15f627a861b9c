import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE } from "../../src/tokenizer/types.js";
import { readVocab, vocabFromMetadata, vocabToMetadata } from "../../src/tokenizer/vocab.js";
import { refusal } from "../support/build/build.js";
import { protobuf } from "../support/protobuf.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const root = scratchFolder();
let folders = 0;

/** A folder with these files; a value that is no text is written as JSON. */
function folderOf(files: Readonly<Record<string, unknown>>, ...copied: string[]): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const name of copied) copyFileSync(join(TINY_LLAMA, name), join(folder, name));
  for (const [name, value] of Object.entries(files)) {
    const raw = typeof value === "string" || value instanceof Uint8Array;
    writeFileSync(join(folder, name), raw ? value : JSON.stringify(value));
  }
  return folder;
}

/** Words `a`, `b`, `ab` over bytes, in tokenizer.json's terms. */
const BYTE_LEVEL = {
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
  decoder: { type: "ByteLevel" },
  added_tokens: [
    { id: 4, content: "<|end|>", special: true },
    { id: 6, content: "<tool>", special: false },
  ],
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2, Ġ: 3 }, merges: ["a b"] },
};

describe("which file is read", () => {
  const json = { ...BYTE_LEVEL, model: { ...BYTE_LEVEL.model } };
  const pieces = ["<unk>", "<s>", "</s>", "▁", "a"].map((text, i) => {
    const type = [2, 3, 3, 1, 1][i]!;
    return [
      1,
      protobuf([
        [1, text],
        [2, { f32: -i }],
        [3, type],
      ]),
    ] as const;
  });
  const model = protobuf([...pieces, [2, protobuf([[3, 2]])]]);

  test("SentencePiece's first, as in llama.cpp", () => {
    expect(
      readVocab(folderOf({ "tokenizer.model": model, "tokenizer.json": json }), { vocabSize: 7 }).kind,
    ).toBe("spm");
  });
  test("then tokenizer.json, also beside a rank file that is called tokenizer.model", () => {
    const folder = folderOf({ "tokenizer.model": "IQ== 0\nIg== 1\n", "tokenizer.json": json });
    expect(readVocab(folder, { vocabSize: 7 }).tokens[2]).toBe("ab");
  });
  test("then a rank file, whatever it is called", () => {
    for (const name of ["tokenizer.model", "qwen.tiktoken"]) {
      const folder = folderOf({ [name]: "IQ== 0\nIg== 1\n" });
      expect(refusal(() => readVocab(folder, { vocabSize: 7 }))).toBe(
        `unsupported: ${join(folder, name)}: 2 tokens are no known model's`,
      );
    }
  });
  test("then GPT-2's pair", () => {
    const files = {
      "vocab.json": { a: 0, b: 1, ab: 2, "<|endoftext|>": 3 },
      "merges.txt": "#version: 0.2\na b\n",
    };
    const vocab = readVocab(folderOf(files), { vocabSize: 4 });
    expect(vocab).toMatchObject({ kind: "bpe", pre: "gpt-2", merges: ["a b"], special: { bos: 3, eos: 3 } });
    expect(vocab.types).toEqual([1, 1, 1, TOKEN_TYPE.CONTROL]);
    const qwen = folderOf({ ...files, "tokenizer_config.json": { tokenizer_class: "Qwen2TokenizerFast" } });
    expect(readVocab(qwen, { vocabSize: 4 }).pre).toBe("qwen2");
    const other = folderOf({ ...files, "tokenizer_config.json": { tokenizer_class: "OddTokenizer" } });
    expect(refusal(() => readVocab(other, { vocabSize: 4 }))).toContain(
      "how OddTokenizer splits text is not known",
    );
    const half = folderOf({ "vocab.json": files["vocab.json"] });
    expect(refusal(() => readVocab(half, { vocabSize: 4 }))).toContain("merges.txt: no such file");
  });
  test("none", () => {
    const folder = folderOf({ "config.json": {} });
    expect(refusal(() => readVocab(folder, { vocabSize: 4 }))).toBe(
      `bad-input: ${folder}: no tokenizer here; looked for tokenizer.model, ice_text.model, tokenizer.json, tekken.json, tokenizer.model.v*, *.tiktoken, vocab.json and merges.txt`,
    );
  });
});

describe("rows of the embedding", () => {
  test("that have no token are padded as llama.cpp pads them", () => {
    const vocab = readVocab(folderOf({}, "tokenizer.model"), { vocabSize: 2050 });
    expect(vocab.tokens.slice(2047)).toEqual([expect.any(String), "[PAD2048]", "[PAD2049]"]);
    expect(vocab.types.slice(2047)).toEqual([1, 5, 5]);
    expect([...vocab.scores!.slice(2048)]).toEqual([-10000, -10000]);
    const json = readVocab(folderOf({ "tokenizer.json": BYTE_LEVEL }), { vocabSize: 8 });
    expect(json.tokens).toEqual(["a", "b", "ab", "Ġ", "<|end|>", "[PAD5]", "<tool>", "[PAD7]"]);
    expect(json.types).toEqual([1, 1, 1, 1, 3, 5, 4, 5]);
  });
  test("that are too few", () => {
    for (const name of ["tokenizer.model", "tokenizer.json"]) {
      const folder = folderOf({}, name);
      expect(refusal(() => readVocab(folder, { vocabSize: 2047 }))).toBe(
        `bad-input: ${join(folder, name)}: 2048 tokens, but the embedding of the model has 2047 rows`,
      );
    }
  });
  test("beyond which an added token lies: it can never be used", () => {
    const folder = folderOf({ "added_tokens.json": { "<pad>": 2048 } }, "tokenizer.model");
    expect(readVocab(folder, { vocabSize: 2048 }).tokens).toHaveLength(2048);
  });
});

describe("the files beside a vocabulary", () => {
  test("added tokens: added_tokens.json, and tokenizer_config.json which knows more", () => {
    const folder = folderOf(
      {
        "added_tokens.json": { "<one>": 2048, "<two>": 2049, "▁three": 2050 },
        "tokenizer_config.json": {
          added_tokens_decoder: {
            "2": { content: "</s>", special: true },
            "2049": { content: "<2>", special: true },
            "2051": { content: "<|looks|>", special: false },
          },
        },
      },
      "tokenizer.model",
    );
    const { tokens, types, scores } = readVocab(folder, { vocabSize: 2053 });
    expect(tokens.slice(2048)).toEqual(["<one>", "<2>", " three", "<|looks|>", "[PAD2052]"]);
    expect(types.slice(2048)).toEqual([4, 3, 4, 3, 5]);
    expect([...scores!.slice(2048)]).toEqual([-1000, -1000, -1000, -1000, -10000]);
    expect([types[2], scores![2]]).toEqual([3, -1000]);
  });

  test("special tokens: a text settles it, then config.json, then generation_config.json, then the model", () => {
    const special = (files: Record<string, unknown>) =>
      Object.entries(readVocab(folderOf(files, "tokenizer.model"), { vocabSize: 2048 }).special);
    expect(special({})).toEqual([
      ["bos", 1],
      ["eos", 2],
      ["unk", 0],
    ]);
    expect(
      special({
        "tokenizer_config.json": {
          eos_token: { content: "<0x41>" },
          pad_token: "<unk>",
          sep_token: "no such token",
        },
        "special_tokens_map.json": { eos_token: "<s>", unk_token: "<unk>" },
        "config.json": { eos_token_id: 7, bos_token_id: 5, sep_token_id: null },
        "generation_config.json": { bos_token_id: 9, sep_token_id: [11, 12] },
      }),
    ).toEqual([
      ["eos", 68],
      ["unk", 0],
      ["pad", 0],
      ["bos", 5],
      ["sep", 11],
    ]);
  });

  test("special tokens that are not in the vocabulary are none", () => {
    const files = {
      "config.json": { pad_token_id: 2048, sep_token_id: -1 },
      "special_tokens_map.json": { cls_token: "" },
    };
    const { special } = readVocab(folderOf(files, "tokenizer.model"), { vocabSize: 2048 });
    expect(special).toEqual({ bos: 1, eos: 2, unk: 0 });
  });

  test("whether bos is added: tokenizer.json's template, then tokenizer_config.json, then llama.cpp's way", () => {
    const added = (json: object, config: object) => {
      const files = {
        "tokenizer.json": { ...BYTE_LEVEL, ...json },
        "tokenizer_config.json": { bos_token: "<|end|>", ...config },
      };
      return readVocab(folderOf(files), { vocabSize: 8 }).addBos;
    };
    const template = {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<|end|>" } }, { Sequence: { id: "A" } }],
    };
    expect(added({}, {})).toBe(false);
    expect(added({}, { add_bos_token: true })).toBe(true);
    expect(added({ post_processor: template }, {})).toBe(true);
    expect(
      added({ post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }, template] } }, {}),
    ).toBe(true);
    expect(added({ post_processor: { type: "ByteLevel" } }, { add_bos_token: true })).toBe(false);
    expect(added({ post_processor: template }, { add_bos_token: false, bos_token: "<tool>" })).toBe(false);
    expect(added({}, { add_bos_token: true, bos_token: null })).toBe(false);
    expect(readVocab(folderOf({}, "tokenizer.model"), { vocabSize: 2048 }).addBos).toBe(true);
  });

  test("whether a space goes in front: the model, unless tokenizer_config.json knows better", () => {
    const prefix = (config: object) =>
      readVocab(folderOf({ "tokenizer_config.json": config }, "tokenizer.model"), { vocabSize: 2048 })
        .addSpacePrefix;
    expect([prefix({}), prefix({ add_prefix_space: false }), prefix({ add_prefix_space: null })]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("chat templates: one, named ones, or a file of their own", () => {
    const templates = (files: Record<string, unknown>) => {
      const vocab = readVocab(folderOf(files, "tokenizer.model"), { vocabSize: 2048 });
      const fields = [...vocabToMetadata(vocab)].filter(([key]) => key.startsWith("tokenizer.chat"));
      expect(vocabFromMetadata("x", vocabToMetadata(vocab)).chatTemplates).toEqual(vocab.chatTemplates);
      return Object.fromEntries(fields.map(([key, { value }]) => [key, value]));
    };
    expect(templates({})).toEqual({});
    expect(templates({ "tokenizer_config.json": { chat_template: "{{ a }}" } })).toEqual({
      "tokenizer.chat_template": "{{ a }}",
    });
    expect(templates({ "chat_template.jinja": "{{ b }}" })).toEqual({ "tokenizer.chat_template": "{{ b }}" });
    expect(templates({ "chat_template.json": { chat_template: "{{ c }}" } })).toEqual({
      "tokenizer.chat_template": "{{ c }}",
    });
    const named = [
      { name: "default", template: "{{ d }}" },
      { name: "tool-use", template: "{{ e }}" },
    ];
    expect(templates({ "tokenizer_config.json": { chat_template: named } })).toEqual({
      "tokenizer.chat_template.tool_use": "{{ e }}",
      "tokenizer.chat_templates": ["tool_use"],
      "tokenizer.chat_template": "{{ d }}",
    });
  });

  test.each([
    ["tokenizer_config.json", "{", "not valid JSON"],
    [
      "tokenizer_config.json",
      { add_bos_token: "yes" },
      'add_bos_token: Invalid type: Expected boolean but received "yes"',
    ],
    ["chat_template.json", { chat_template: 1 }, "chat_template: Invalid type"],
    ["added_tokens.json", { a: "b" }, 'a: Invalid type: Expected number but received "b"'],
    ["added_tokens.json", { a: -1 }, "a: Invalid value: Expected >=0 but received -1"],
    ["special_tokens_map.json", "1", "the whole: Invalid type"],
    ["config.json", "null", "the whole: Invalid type"],
  ])("that are damaged: %s with %j", (name, value, message) => {
    const folder = folderOf({ [name]: value }, "tokenizer.model");
    expect(refusal(() => readVocab(folder, { vocabSize: 2048 }))).toContain(
      `bad-input: ${join(folder, name)}: ${message}`,
    );
  });
});

test("GGUF's keys and types, in the order of llama.cpp's converter", () => {
  const fields = [...vocabToMetadata(readVocab(TINY_LLAMA, { vocabSize: 2048 }))];
  expect(fields.map(([key, { type, item }]) => `${key} ${item ?? type}`)).toEqual([
    "tokenizer.ggml.model string",
    "tokenizer.ggml.pre string",
    "tokenizer.ggml.tokens string",
    "tokenizer.ggml.scores f32",
    "tokenizer.ggml.token_type i32",
    "tokenizer.ggml.bos_token_id u32",
    "tokenizer.ggml.eos_token_id u32",
    "tokenizer.ggml.unknown_token_id u32",
    "tokenizer.ggml.add_bos_token bool",
    "tokenizer.ggml.add_eos_token bool",
    "tokenizer.ggml.add_space_prefix bool",
  ]);
});

describe("GGUF's metadata", () => {
  const good = vocabToMetadata(readVocab(TINY_LLAMA, { vocabSize: 2048 }));
  const key = (name: string) => `tokenizer.ggml.${name}`;
  const without = (...names: string[]) =>
    new Map([...good].filter(([name]) => !names.map(key).includes(name)));
  const changed = (name: string, type: "u32" | "string" | "i64", value: number | string) =>
    new Map([...good, [key(name), { type, value }] as const]);

  test("that says little means what it means to llama.cpp", () => {
    const names = [
      "pre",
      "token_type",
      "bos_token_id",
      "eos_token_id",
      "unknown_token_id",
      "add_bos_token",
      "add_eos_token",
      "add_space_prefix",
    ];
    const vocab = vocabFromMetadata("x", without(...names));
    expect(vocab).toMatchObject({
      pre: "default",
      special: { bos: 1, eos: 2, unk: 0 },
      addBos: true,
      addEos: false,
      addSpacePrefix: true,
    });
    expect(new Set(vocab.types)).toEqual(new Set([TOKEN_TYPE.NORMAL]));
  });
  test("with ids that are no token's: there is no such token", () => {
    expect(vocabFromMetadata("x", changed("padding_token_id", "u32", 4294967295)).special).toEqual({
      bos: 1,
      eos: 2,
      unk: 0,
    });
  });
  test.each([
    ["no model", without("model"), "bad-input: x: tokenizer.ggml.model is missing"],
    ["no tokens", without("tokens"), "bad-input: x: tokenizer.ggml.tokens is missing"],
    ["no scores", without("scores"), "bad-input: x: tokenizer.ggml.scores is missing"],
    ["no merges", changed("model", "string", "gpt2"), "bad-input: x: tokenizer.ggml.merges is missing"],
    [
      "another model",
      changed("model", "string", "bert"),
      "unsupported: x: tokenizer model bert is not supported",
    ],
    [
      "a number as model",
      changed("model", "u32", 1),
      "bad-input: x: tokenizer.ggml.model has type u32, expected string",
    ],
    [
      "tokens that are text",
      changed("tokens", "string", "a"),
      "bad-input: x: tokenizer.ggml.tokens has type string, expected array",
    ],
    [
      "an id of 64 bits",
      changed("bos_token_id", "i64", 1),
      "bad-input: x: tokenizer.ggml.bos_token_id has type i64, expected u32 or i32",
    ],
    [
      "too few scores",
      new Map([...good, [key("scores"), { type: "array", item: "f32", value: [1] } as const]]),
      "bad-input: x: tokenizer.ggml.scores has 1 items for 2048 tokens",
    ],
    [
      "types that are text",
      new Map([...good, [key("token_type"), good.get(key("tokens"))!]]),
      "bad-input: x: tokenizer.ggml.token_type has type array of string, expected i32 or u32",
    ],
  ])("with %s", (_, metadata, message) => {
    expect(refusal(() => vocabFromMetadata("x", metadata))).toBe(message);
  });
});

describe("added tokens beside a tokenizer.model", () => {
  /** samples/tiny-llama's tokenizer, and what transformers 5 writes beside it. */
  const withAdded = (files: Record<string, unknown>) =>
    readVocab(folderOf(files, "tokenizer.model", "tokenizer_config.json"), { vocabSize: 2050 });
  const json = JSON.parse(readFileSync(join(TINY_LLAMA, "tokenizer.json"), "utf8"));
  const settings = JSON.parse(readFileSync(join(TINY_LLAMA, "tokenizer_config.json"), "utf8"));
  const more = [
    { id: 2048, content: "<tool>", normalized: true, special: false },
    { id: 2049, content: "<pad2>", normalized: false, special: true },
  ];
  const added = [...(json.added_tokens ?? []), ...more];

  // transformers 5.24: ids with bos; it puts Llama's stages in the place of the file's, as tokenizer_config.json says
  test.each([
    [true, [1, 261, 2048, 274]],
    [false, [1, 261, 2048, 1986]],
    [undefined, [1, 261, 2048, 1986]],
  ])("in tokenizer.json alone, legacy %s", (legacy, expected) => {
    const files = {
      "tokenizer.json": { ...json, added_tokens: added },
      "tokenizer_config.json": { ...settings, legacy },
    };
    for (const copied of [["tokenizer.model"], []]) {
      const vocab = readVocab(folderOf(files, ...copied), { vocabSize: 2050 });
      expect(vocab.types.slice(2048)).toEqual([TOKEN_TYPE.USER_DEFINED, TOKEN_TYPE.CONTROL]);
      const tokenizer = createTokenizer(vocab);
      expect([...tokenizer.encode("a<tool>b")]).toEqual(expected);
      expect([...tokenizer.encode(" a")]).toEqual([1, 261]);
      const gguf = vocabFromMetadata("x", vocabToMetadata(vocab));
      expect([...createTokenizer(gguf).encode("a<tool>b")]).toEqual([1, 261, 2048, 274]); // as llama.cpp
    }
  });

  test("in added_tokens.json alone", () => {
    const vocab = withAdded({ "added_tokens.json": { "<tool>": 2048, "<pad>": 2049 } });
    expect(vocab.tokens.slice(2048)).toEqual(["<tool>", "<pad>"]);
    const both = withAdded({ "tokenizer.json": json, "added_tokens.json": { "<tool>": 2048 } });
    for (const each of [vocab, both]) expect([...createTokenizer(each).encode("a<tool>b")]).toContain(2048);
  });
});

test("templates in a folder of their own are kept by their names", () => {
  const copy = folderOf({ "tokenizer.json": BYTE_LEVEL });
  mkdirSync(join(copy, "additional_chat_templates"));
  writeFileSync(join(copy, "chat_template.jinja"), "plain");
  writeFileSync(join(copy, "additional_chat_templates", "tool_use.jinja"), "with tools");
  writeFileSync(join(copy, "additional_chat_templates", "rag.jinja"), "with documents");
  const metadata = vocabToMetadata(readVocab(copy, {}));
  // as llama.cpp's converter names them
  expect(metadata.get("tokenizer.chat_template")?.value).toBe("plain");
  expect(metadata.get("tokenizer.chat_template.tool_use")?.value).toBe("with tools");
  expect(metadata.get("tokenizer.chat_template.rag")?.value).toBe("with documents");
  expect(metadata.get("tokenizer.chat_templates")?.value).toEqual(["rag", "tool_use"]);
});
