import { badInput, LlqError } from "../../../formats/errors.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import { resolveSpecial } from "../special.js";
import { TokenTable } from "../token-table.js";
import { DEFAULTS, type SpecialTokens, TOKEN_TYPE, type Vocab } from "../types.js";
import { spellBytes } from "./byte-alphabet.js";
import { Merger, NONE } from "./merger.js";
import { preTokenizer } from "./pretokenize.js";

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
  const tokens = parseRanks(name, text);
  const family = FAMILIES.find(({ ranks }) => ranks === tokens.length);
  if (family === undefined) {
    const known = FAMILIES.map(({ ranks, pre }) => `${ranks} (${pre})`);
    throw new LlqError("unsupported", `${name}: ${tokens.length} tokens are no known model's`, {
      hint: `known are ${known.join(", ")}; any other needs a tokenizer.json`,
    });
  }
  const all = tokens.length + family.control.length;
  const table = new TokenTable(name, tokens.length, rows ?? all);
  for (const [id, token] of tokens.entries()) table.set(id, token, TOKEN_TYPE.NORMAL, 0);
  for (const [i, content] of family.control.entries()) {
    table.setAdded({ id: tokens.length + i, content, special: true });
  }
  for (const token of config.added) table.setAdded(token);
  return {
    kind: "bpe",
    tokens: table.tokens,
    types: table.types,
    merges: mergesOfRanks(tokens),
    pre: family.pre,
    special: resolveSpecial(config, table.tokens, family.special),
    addBos: config.addBos ?? preTokenizer(family.pre).addBos ?? false,
    addEos: config.addEos ?? false,
    addSpacePrefix: DEFAULTS.bpe.addSpacePrefix,
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
  };
}

/** Tokens in order of rank, in the byte alphabet. */
function parseRanks(name: string, text: string): string[] {
  const tokens: string[] = [];
  for (const [i, line] of text.trimEnd().split(/\r?\n/).entries()) {
    const fields = /^([A-Za-z0-9+/]+={0,2}) (\d+)$/.exec(line);
    const rank = Number(fields?.[2]);
    if (fields === null || rank !== i) {
      throw badInput(
        `${name}: line ${i + 1} is not a token and rank ${i}: ${JSON.stringify(line.slice(0, 80))}`,
      );
    }
    tokens.push(spellBytes(Buffer.from(fields[1]!, "base64")));
  }
  return tokens;
}

/**
 * A list of merges that does what merging by rank does. Where merging the bytes of each token leads to two
 * parts, these parts. Where it does not (some tokens of Llama 3 were put into the list by hand), every way to
 * make a token of two others, in transformers' order; a pre-tokenizer with ignoreMerges does the rest.
 */
function mergesOfRanks(tokens: readonly string[]): string[] {
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  const everyRank = Int32Array.from(tokens.keys());
  const merger = new Merger(everyRank, everyRank);
  const long = tokens.filter((token) => token.length > 1);
  const exact: string[] = [];
  for (const token of long) {
    const parts = lastParts(token, ranks, merger);
    if (parts.length !== 2) return everyMergeOfRanks(tokens);
    exact.push(parts.join(" "));
  }
  return exact;
}

/** Every way to make a token of two others, in order of their ranks. */
export function everyMergeOfRanks(tokens: readonly string[]): string[] {
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  const long = tokens.filter((token) => token.length > 1);
  return long.flatMap((each) => pairsOf(each, ranks).map((pair) => pair.join(" ")));
}

/** What merging by rank makes of a token's bytes before the token itself. */
function lastParts(token: string, ranks: ReadonlyMap<string, number>, merger: Merger): string[] {
  const own = ranks.get(token)!;
  merger.clear();
  for (let i = 0; i < token.length; i++) merger.add(NONE);
  merger.merge((left, right) => {
    const rank = ranks.get(token.slice(left, merger.next[right])) ?? own;
    return rank < own ? rank : NONE;
  });
  const parts: string[] = [];
  for (let i = 0; i < merger.count; i = merger.next[i]!) parts.push(token.slice(i, merger.next[i]));
  return parts;
}

/** Every two tokens that make this one, those of lowest rank first. */
function pairsOf(token: string, ranks: ReadonlyMap<string, number>): string[][] {
  const pairs: string[][] = [];
  for (let i = 1; i < token.length; i++) {
    const pair = [token.slice(0, i), token.slice(i)];
    if (pair.every((part) => ranks.has(part))) pairs.push(pair);
  }
  const rank = (text: string | undefined) => ranks.get(text!)!;
  return pairs.sort((a, b) => rank(a[0]) - rank(b[0]) || rank(a[1]) - rank(b[1]));
}
