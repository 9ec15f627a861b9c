import { decodeBase64 } from "#host/bytes";
import { badInput, LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import { resolveSpecial } from "../special.js";
import { TokenTable } from "../token-table.js";
import { DEFAULTS, type SpecialTokens, TOKEN_TYPE, type Vocab } from "../types.js";
import { byteCharacter, LARGEST_CHARACTER, spellBytes } from "./byte-alphabet.js";
import { Merger } from "./merger.js";
import { PairMap } from "./pair-map.js";
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
    throw new LlqError("unsupported", t`${name}: ${tokens.length} tokens are no known model's`, {
      hint: t`known are ${known.join(", ")}; any other needs a tokenizer.json`,
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
  for (const [i, line] of text.trimEnd().split(LINE_END).entries()) {
    const token = parseUsual(line, i) ?? parseLine(line, i);
    if (token === undefined) {
      throw badInput(
        t`${name}: line ${i + 1} is not a token and rank ${i}: ${JSON.stringify(line.slice(0, 80))}`,
      );
    }
    tokens.push(token);
  }
  return tokens;
}

const LINE_END = /\r?\n/;

function parseLine(line: string, rank: number): string | undefined {
  const fields = /^([A-Za-z0-9+/]+={0,2}) (\d+)$/.exec(line);
  if (fields === null || Number(fields[2]) !== rank) return undefined;
  return spellBytes(decodeBase64(fields[1]!));
}

/** What each character stands for in base64; 64 for those that do not. */
const SIX_BITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const at = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".indexOf(
    String.fromCharCode(code),
  );
  return at < 0 ? 64 : at;
});

/** The same for lines as they are commonly written, in a fifth of the time; undefined for others. */
function parseUsual(line: string, rank: number): string | undefined {
  const end = line.length - String(rank).length - 1;
  if (end < 4 || end % 4 !== 0 || line !== `${line.slice(0, end)} ${rank}`) return undefined;
  const length = line[end - 1] !== "=" ? end : line[end - 2] !== "=" ? end - 1 : end - 2;
  let token = "";
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const six = SIX_BITS[line.charCodeAt(i)] ?? 64;
    if (six === 64) return undefined;
    bits = ((bits << 6) | six) & 0xffff;
    const left = 2 * (i % 4); // bits of the byte that is complete now are above these
    if (i % 4 > 0) token += byteCharacter((bits >> (6 - left)) & 0xff);
  }
  return token;
}

/**
 * A list of merges that does what merging by rank does. Where merging the bytes of each token leads to two
 * parts, these parts. Where it does not (some tokens of Llama 3 were put into the list by hand), every way to
 * make a token of two others, in transformers' order; a pre-tokenizer with ignoreMerges does the rest.
 */
function mergesOfRanks(tokens: readonly string[]): string[] {
  const ids = firstIds(tokens);
  if (ids === undefined) return everyMergeOfRanks(tokens); // a token that is there twice
  const everyRank = Int32Array.from(tokens.keys());
  const merger = new Merger(everyRank, everyRank);
  // Where every token has two parts, what merging by rank joins on the way to another is always those two: inside a token
  // the merges are those that it takes alone, in their order.
  const pairs = new PairMap(tokens.length);
  const exact: string[] = [];
  for (const [rank, token] of tokens.entries()) {
    if (token.length < 2) continue;
    merger.clear();
    for (let i = 0; i < token.length; i++) merger.add(ids[token.charCodeAt(i)]!);
    merger.merge((left, right) => pairs.get(merger.ids[left]!, merger.ids[right]!));
    const middle = merger.next[0]!;
    if (middle === merger.count || merger.next[middle] !== merger.count) return everyMergeOfRanks(tokens);
    pairs.add(merger.ids[0]!, merger.ids[middle]!, rank);
    exact.push(`${token.slice(0, middle)} ${token.slice(middle)}`);
  }
  return exact;
}

/** The id of each character, one beyond all where it is no token; undefined when a token is there twice. */
function firstIds(tokens: readonly string[]): Int32Array | undefined {
  if (new Set(tokens).size !== tokens.length) return undefined;
  const ids = Int32Array.from({ length: LARGEST_CHARACTER + 1 }, (_, code) => tokens.length + code);
  for (const [rank, token] of tokens.entries()) if (token.length === 1) ids[token.charCodeAt(0)] = rank;
  return ids;
}

/** Every way to make a token of two others, in order of their ranks. */
export function everyMergeOfRanks(tokens: readonly string[]): string[] {
  const ranks = new Map(tokens.map((token, rank) => [token, rank]));
  const long = tokens.filter((token) => token.length > 1);
  return long.flatMap((each) => pairsOf(each, ranks));
}

/** Every two tokens that make this one, those of lowest rank first. */
function pairsOf(token: string, ranks: ReadonlyMap<string, number>): string[] {
  const pairs: { readonly first: number; readonly second: number; readonly merge: string }[] = [];
  for (let i = 1; i < token.length; i++) {
    const left = token.slice(0, i);
    const first = ranks.get(left);
    if (first === undefined) continue;
    const right = token.slice(i);
    const second = ranks.get(right);
    if (second !== undefined) pairs.push({ first, second, merge: `${left} ${right}` });
  }
  if (pairs.length > 1) pairs.sort((a, b) => a.first - b.first || a.second - b.second);
  return pairs.map(({ merge }) => merge);
}
