import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import { resolveSpecial } from "../special.js";
import { TokenTable } from "../token-table.js";
import { DEFAULTS, type SpecialTokens, type Vocab } from "../types.js";
import { mergesOfRanks, spellMerges } from "./merge-pairs.js";
import { preTokenizer } from "./pretokenize.js";
import { parseRanks, stringsOf } from "./rank-file.js";
import { TokenIndex } from "./token-index.js";

/** What a rank file does not say about the model it belongs to: its code does. */
interface Family {
  /** Known by this. */
  readonly ranks: number;
  readonly pre: string;
  /** Control tokens, with ids from `ranks` on. */
  readonly control: readonly string[];
  readonly special: SpecialTokens;
}

const FAMILIES: readonly Family[] = [
  {
    ranks: 128000,
    pre: "llama-bpe",
    control: llama3Control(),
    special: { bos: 128000, eos: 128001, eot: 128009 },
  },
  {
    ranks: 151643,
    pre: "qwen2",
    control: ["<|endoftext|>", "<|im_start|>", "<|im_end|>", ...numbered("<|extra_#|>", 0, 204)],
    special: { bos: 151643, eos: 151643, unk: 151643 },
  },
  {
    ranks: 151329,
    pre: "glm4",
    // biome-ignore format: one line
    control: ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
    special: { eos: 151329, eot: 151336, unk: 151329 },
  },
];

/** Of Llama 3.1 and later; what 3.0 reserves has been given names since. */
function llama3Control(): string[] {
  return [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    ...numbered("<|reserved_special_token_#|>", 0, 1),
    "<|finetune_right_pad_id|>",
    ...numbered("<|reserved_special_token_#|>", 2, 2),
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    ...numbered("<|reserved_special_token_#|>", 3, 247),
  ];
}

function numbered(text: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => text.replace("#", String(first + i)));
}

/**
 * The vocabulary of a tiktoken rank file: a line `base64 rank` for each token, the rank being its id and the
 * order of merging. `name` is the file; `rows` are the embedding's.
 * @throws LlqError `bad-input` for a damaged file or more tokens than rows, `unsupported` for a file whose
 * number of ranks is no known model's
 */
export function vocabFromTiktoken(name: string, text: string, config: TokenizerConfig, rows?: number): Vocab {
  const texts = parseRanks(name, text);
  const ranks = texts.starts.length - 1;
  const family = FAMILIES.find((each) => each.ranks === ranks);
  if (family === undefined) {
    const known = FAMILIES.map(({ ranks, pre }) => `${ranks} (${pre})`);
    throw new LlqError("unsupported", t`${name}: ${ranks} tokens are no known model's`, {
      hint: t`known are ${known.join(", ")}; any other needs a tokenizer.json`,
    });
  }
  const index = new TokenIndex(texts);
  const table = TokenTable.of(name, index, rows ?? ranks + family.control.length);
  for (const [i, content] of family.control.entries()) {
    table.setAdded({ id: ranks + i, content, special: true });
  }
  for (const token of config.added) table.setAdded(token);
  const all = table.indexOfAll(new Set());
  let merges: readonly string[] | undefined;
  return {
    kind: "bpe",
    get tokens() {
      return table.tokens;
    },
    types: table.types,
    ranked: all && { index: all, ranks },
    get merges() {
      merges ??= spellMerges(mergesOfRanks(name, index), stringsOf(texts));
      return merges;
    },
    pre: family.pre,
    special: resolveSpecial(config, table, family.special),
    addBos: config.addBos ?? preTokenizer(family.pre).addBos ?? false,
    addEos: config.addEos ?? false,
    addSpacePrefix: DEFAULTS.bpe.addSpacePrefix,
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
  };
}
