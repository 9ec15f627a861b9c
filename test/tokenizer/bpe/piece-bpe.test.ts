import { expect, test } from "vitest";
import { readVocab } from "../../../src/tokenizer/folder.js";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.js";
import { TOKEN_TYPE } from "../../../src/tokenizer/types.js";
import { vocabFromMetadata, vocabToMetadata } from "../../../src/tokenizer/vocab.js";
import { FAMILIES } from "../../support/team.js";
import { disagreements, lossy, readGolden, STRINGS } from "../../support/tokenizer-helpers.js";

// Merges of SentencePiece's pieces, as Gemma 4 has them; golden/make/tokenizer_gemma4.py.
const golden = readGolden<{ own: string[]; ids: number[][] }>("gemma4");
const strings = [...STRINGS, ...golden.own];
const folder = readVocab(`${FAMILIES}gemma4-merges`, { vocabSize: 320, ofPieces: "pieceBpe" });
const metadata = vocabToMetadata(folder);

const isPlain = (text: string) => !text.includes("▁");

test("the texts of a folder become the ids of transformers", () => {
  const tokenizer = createTokenizer(folder);
  expect(disagreements(tokenizer, golden.ids, strings)).toEqual([]);
  expect(lossy(tokenizer, strings.filter(isPlain))).toEqual([]);
});

test("so do those of its GGUF, where the tokens that it shows stand for themselves", () => {
  const tokenizer = createTokenizer(vocabFromMetadata("a.gguf", metadata));
  const [shown, ...others] = disagreements(tokenizer, golden.ids, strings);
  expect(others).toEqual([]);
  expect(shown!.string).toBe("<|channel>thought\n<channel|>");
  const ids = ["<|channel>", "<channel|>"].map((text) => folder.tokens.indexOf(text));
  expect([shown!.ids[0], shown!.ids.at(-1)]).toEqual(ids);
  expect(lossy(tokenizer, strings.filter(isPlain))).toEqual([]);
});

test("the GGUF says what llama.cpp's converter says", () => {
  expect([...metadata.keys()].map((key) => key.replace("tokenizer.ggml.", ""))).toEqual([
    ...["model", "tokens", "scores", "token_type", "merges", "bos_token_id", "eos_token_id"],
    ...["unknown_token_id", "padding_token_id", "mask_token_id", "add_bos_token", "add_space_prefix"],
  ]);
  expect(metadata.get("tokenizer.ggml.model")!.value).toBe("gemma4");
  const typeOf = (text: string) => folder.types[folder.tokens.indexOf(text)];
  const { BYTE, CONTROL, NORMAL, USER_DEFINED } = TOKEN_TYPE;
  expect(["<unk>", "<turn|>", "<|channel>", "<channel|>", "<unused0>", "\n\n", "<0x0A>"].map(typeOf)).toEqual(
    [...[CONTROL, CONTROL, USER_DEFINED, USER_DEFINED, NORMAL, NORMAL, BYTE]],
  );
  expect(new Set(folder.scores)).toEqual(new Set([-1000]));
});

test("texts begin with bos, whatever a file says", () => {
  const said = vocabFromMetadata(
    "a.gguf",
    new Map([...metadata].filter(([key]) => !key.endsWith("add_bos_token"))),
  );
  expect([...createTokenizer(said).encode("a")][0]).toBe(folder.special.bos);
});
