import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { preTokenizer } from "../bpe/pretokenize.js";
import type { SpecialToken, Vocab } from "../types.js";
import type { TokenizerConfig } from "./hf-config.js";
import { vocabFromTokenizerJson } from "./hf-vocab.js";

/** The pre-tokenizer of each `tokenizer_class`, which these files do not name. */
const CLASSES: ReadonlyMap<string, string> = new Map([
  ["GPT2Tokenizer", "gpt-2"],
  ["CodeGenTokenizer", "gpt-2"],
  ["GPTNeoXTokenizer", "mpt"],
  ["Qwen2Tokenizer", "qwen2"],
]);

const END_OF_TEXT = "<|endoftext|>";

/**
 * The vocabulary of GPT-2's vocab.json (`vocab`) and merges.txt: that of the tokenizer.json which transformers
 * would make of them. `name` is vocab.json's path; `rows` are the embedding's.
 * @throws LlqError as vocabFromTokenizerJson, and `unsupported` for a `tokenizer_class` that is not known
 */
export function vocabFromGpt2Files(
  name: string,
  vocab: unknown,
  merges: string,
  config: TokenizerConfig,
  rows?: number,
): Vocab {
  const tokenizerClass = (config.tokenizerClass ?? "GPT2Tokenizer").replace(/Fast$/, "");
  const pre = CLASSES.get(tokenizerClass);
  if (pre === undefined) {
    const message = t`${name}: how ${tokenizerClass} splits text is not known`;
    throw new LlqError("unsupported", message, { hint: t`save the tokenizer as tokenizer.json` });
  }
  if (typeof vocab !== "object" || vocab === null) throw badInput(t`${name}: not a table of tokens`);
  const { split, nfc } = preTokenizer(pre);
  const end = (vocab as Record<string, unknown>)[END_OF_TEXT];
  const json = {
    normalizer: nfc ? { type: "NFC" } : null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: split.map((Regex) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated" })),
    },
    decoder: { type: "ByteLevel" },
    added_tokens: end === undefined ? [] : [{ id: end, content: END_OF_TEXT, special: true }],
    model: { type: "BPE", vocab, merges: mergeLines(merges) },
  };
  const texts = new Map<SpecialToken, string>([["bos", END_OF_TEXT], ["eos", END_OF_TEXT], ...config.texts]);
  return vocabFromTokenizerJson(name, json, { ...config, texts }, rows);
}

/** Below a first line that names the version. */
function mergeLines(text: string): string[] {
  return text.split(/\r?\n/).filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version")));
}
