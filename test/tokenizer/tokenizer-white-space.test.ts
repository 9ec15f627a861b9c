import { describe, expect, test } from "vitest";
import { readVocab } from "../../src/tokenizer/folder.js";
import { readWhiteSpace, spellWhiteSpace } from "../../src/tokenizer/spm/white-space.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";

const FOLDER = new URL("../golden/families/chatglm/", import.meta.url).pathname;

describe("ChatGLM-6B spells white space out", () => {
  // As its tokenization_chatglm.py does: the longest runs first, none of one space.
  test.each([
    ["a b", "a b"],
    ["a\n\tb", "a<n><|tab|>b"],
    ["def f():\n    pass", "def f():<n><|blank_4|>pass"],
    [" ".repeat(80), "<|blank_80|>"],
    [" ".repeat(81), "<|blank_80|> "],
    [" ".repeat(163), "<|blank_80|><|blank_80|><|blank_3|>"],
  ])("%j", (text, spelled) => {
    expect(spellWhiteSpace(text)).toBe(spelled);
    expect(readWhiteSpace(spelled)).toBe(text);
  });

  test("texts begin with [gMASK] and <sop>, and come back", () => {
    const vocab = readVocab(FOLDER, { vocabSize: 320 });
    const tokenizer = createTokenizer(vocab);
    const text = "A stone  tower,\non the west";
    const ids = [...tokenizer.encode(text)];
    expect(ids.slice(0, 2).map((id) => vocab.tokens[id])).toEqual(["[gMASK]", "<sop>"]);
    expect(ids.map((id) => vocab.tokens[id])).toContain("<|blank_2|>");
    expect(tokenizer.decode(Int32Array.from(ids.slice(2)))).toBe(text);
  });
});
