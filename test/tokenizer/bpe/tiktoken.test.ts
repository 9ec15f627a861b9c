import { expect, test } from "vitest";
import { vocabFromTiktoken } from "../../../src/tokenizer/bpe/tiktoken.js";
import { NO_CONFIG } from "../../../src/tokenizer/hf/hf-config.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE } from "../../../src/tokenizer/types.js";
import { refusal } from "../../support/build/build.js";

// Of rank files as many tokens as published ones: what is known by their number. Those themselves are tried in
// tokenizer-published.test.ts, where they are.

/** A rank file: bytes, pairs of bytes in order, then threes that begin with the first of them. */
function rankFile(ranks: number): string {
  const lines: string[] = [];
  for (let i = 0; i < ranks; i++) {
    const pair = i - 256;
    const three = pair - 65536;
    const bytes = three >= 0 ? [three >> 16, three >> 8, three] : pair >= 0 ? [pair >> 8, pair] : [i];
    lines.push(`${Buffer.from(bytes.map((each) => each & 255)).toString("base64")} ${i}`);
  }
  return `${lines.join("\n")}\n`;
}

// As the models' cards, generation_config.json and tokenizer_config.json have them.
test.each([
  {
    ranks: 128000,
    pre: "llama-bpe",
    rows: 128256,
    ids: {
      "<|begin_of_text|>": 128000,
      "<|end_of_text|>": 128001,
      "<|reserved_special_token_1|>": 128003,
      "<|finetune_right_pad_id|>": 128004,
      "<|reserved_special_token_2|>": 128005,
      "<|start_header_id|>": 128006,
      "<|end_header_id|>": 128007,
      "<|eom_id|>": 128008,
      "<|eot_id|>": 128009,
      "<|python_tag|>": 128010,
      "<|reserved_special_token_247|>": 128255,
    },
    special: { bos: 128000, eos: 128001, eot: 128009 },
    addBos: true,
  },
  {
    ranks: 151643,
    pre: "qwen2",
    rows: 151851,
    ids: { "<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<|extra_204|>": 151850 },
    special: { bos: 151643, eos: 151643 },
    addBos: false,
  },
  {
    ranks: 151329,
    pre: "glm4",
    rows: 151339,
    ids: {
      "<|endoftext|>": 151329,
      "[gMASK]": 151331,
      "<sop>": 151333,
      "<|user|>": 151336,
      "<|observation|>": 151338,
    },
    special: { eos: 151329, eot: 151336 },
    addBos: false,
  },
])("$ranks ranks are those of $pre", ({ ranks, pre, rows, ids, special, addBos }) => {
  const text = rankFile(ranks);
  const vocab = vocabFromTiktoken("x.tiktoken", text, NO_CONFIG);
  expect(vocab).toMatchObject({ kind: "bpe", pre, addBos, addEos: false, special });
  expect(vocab.tokens).toHaveLength(rows);
  for (const [content, id] of Object.entries(ids)) {
    expect([content, vocab.tokens.indexOf(content)]).toEqual([content, id]);
    expect(vocab.types[id]).toBe(TOKEN_TYPE.CONTROL);
  }
  expect(vocab.types[ranks - 1]).toBe(TOKEN_TYPE.NORMAL);
  // `0x61 0x62` is pair 0x6162 behind the 256 bytes; GPT-2's alphabet writes byte 0 as U+0100.
  const tokenizer = createTokenizer(vocab);
  expect([...tokenizer.encode("ab", { addBos: false })]).toEqual([256 + 0x6162]);
  expect(vocab.merges?.slice(0, 2)).toEqual(["Ā Ā", "Ā ā"]);
  // A folder's own files go before what is known of the family; rows beyond its tokens are filled.
  const config = {
    ...NO_CONFIG,
    addBos: !addBos,
    addEos: true,
    added: [{ id: ranks, content: "<mine>", special: false }],
  };
  const own = vocabFromTiktoken("x.tiktoken", text, config, rows + 1);
  expect(own).toMatchObject({ addBos: !addBos, addEos: true });
  expect([own.tokens[ranks], own.types[ranks], own.tokens[rows]]).toEqual([
    "<mine>",
    TOKEN_TYPE.USER_DEFINED,
    `[PAD${rows}]`,
  ]);
  expect(refusal(() => vocabFromTiktoken("x.tiktoken", text, NO_CONFIG, ranks - 1))).toBe(
    `bad-input: x.tiktoken: ${ranks} tokens, but the embedding of the model has ${ranks - 1} rows`,
  );
});
