import type { MergeList } from "./bpe/merge-list.js";
import type { TokenIndex } from "./bpe/token-index.js";

/** What text becomes ids by: plain data, the same whichever files it was read from. */
export interface Vocab {
  /** SentencePiece BPE by scores; byte-level BPE by merges; SentencePiece unigram; SentencePiece's pieces by merges. */
  readonly kind: VocabKind;
  /** Texts in order of id: GPT-2's byte alphabet in bpe, in the others `▁` for a space. */
  readonly tokens: readonly string[];
  /** One of TOKEN_TYPE for each token. */
  readonly types: readonly number[];
  /** One for each token: spm joins the pair of highest score first, unigram has log-probabilities. */
  readonly scores?: Float32Array | undefined;
  /** bpe, pieceBpe: `left right`, the first is joined first. */
  readonly merges?: readonly string[] | undefined;
  /**
   * bpe: merges follow from the tokens' texts, a token's id being its rank, for the first `ranks` of them. Texts of `merges` are
   * made when they are first asked for.
   */
  readonly ranked?: { readonly index: TokenIndex; readonly ranks: number } | undefined;
  /** bpe: the merges by the ids of what they make. Texts of `merges` are made when they are first asked for. */
  readonly listed?: { readonly index: TokenIndex; readonly merges: MergeList } | undefined;
  /** `tokenizer.ggml.pre`: how bpe splits text before merging; `default` for the others. */
  readonly pre: string;
  /** Ids of the tokens that have a role. */
  readonly special: SpecialTokens;
  /** A text begins with the bos token. */
  readonly addBos: boolean;
  /** A text ends with the eos token. */
  readonly addEos: boolean;
  /** spm, unigram: a space goes in front of the text. */
  readonly addSpacePrefix: boolean;
  /** spm, unigram: spaces at both ends are dropped and runs of them collapse. */
  readonly removeExtraWhitespaces: boolean;
  /** SentencePiece's compiled table of character replacements. */
  readonly precompiledCharsmap?: Uint8Array | undefined;
  /** By name; the one a program takes unasked is DEFAULT_TEMPLATE. */
  readonly chatTemplates: ReadonlyMap<string, string>;
  /** Of a tokenizer.json: what it does and GGUF has no words for. Encoding follows it. */
  readonly rules?: FolderRules | undefined;
  /** What a user should know of how the files were read. */
  readonly remarks?: readonly string[] | undefined;
}

/** How the tokenizer of a folder treats a text, where programs that read the vocabulary's GGUF may do otherwise. */
export interface FolderRules {
  /** Tokens that stand for themselves wherever a text has them. */
  readonly matched: readonly MatchedToken[];
  /** Ids that the model does not know, and never makes of others. */
  readonly unmade: readonly number[];
  /** Where the space in front is from: every fragment's normalizer, the pre-tokenizer where there is none, or that at the text's start. */
  readonly prefix: "normalizer" | "pre-tokenizer" | "start";
  /** Spaces become `▁` in the normalizer, before tokens are looked for in what it makes. */
  readonly escapes: boolean;
  /** A run of unknown characters is one unknown token. */
  readonly fuseUnknown: boolean;
  /** bpe: as PreTokenizer has them. */
  readonly ignoreMerges: boolean;
  readonly nfc: boolean;
}

/** A token that is looked for in texts. */
export interface MatchedToken {
  readonly id: number;
  readonly content: string;
  /** Looked for in what the normalizer makes of the text, and normalized itself. */
  readonly normalized: boolean;
  readonly singleWord: boolean;
  /** White space before it, or behind it, belongs to it. */
  readonly takesLeft: boolean;
  readonly takesRight: boolean;
}

export interface Tokenizer {
  /**
   * Ids of a text, which is plain: what looks like a control token in it is spelled out. `addBos` defaults to
   * what the vocabulary asks for; eos is never added, since a text that is measured goes on.
   */
  encode(text: string, options?: { readonly addBos?: boolean }): Int32Array;
  /** The text of ids; control and unknown tokens have none. @throws LlqError `bad-input` for an id out of range */
  decode(ids: ArrayLike<number>): string;
}

export type VocabKind = "spm" | "bpe" | "unigram" | "pieceBpe";

// biome-ignore format: one line
export const SPECIAL_TOKENS = [
  "bos", "eos", "unk", "sep", "pad", "cls", "mask", "eot", "eom", "fimPre", "fimSuf", "fimMid", "fimPad", "fimRep", "fimSep", "gmask",
] as const;
export type SpecialToken = (typeof SPECIAL_TOKENS)[number];
export type SpecialTokens = Readonly<Partial<Record<SpecialToken, number>>>;

export const DEFAULT_TEMPLATE = "default";

/** Eight times the largest vocabulary known; a damaged id must not make a table of gigabytes. */
export const MAX_TOKENS = 1 << 21;

/** Token types as GGUF (`tokenizer.ggml.token_type`) and SentencePiece number them. */
export const TOKEN_TYPE = { NORMAL: 1, UNKNOWN: 2, CONTROL: 3, USER_DEFINED: 4, UNUSED: 5, BYTE: 6 } as const;

/** What llama.cpp takes for granted where a file says nothing. */
export const DEFAULTS: Record<VocabKind, Pick<Vocab, "special" | "addBos" | "addEos" | "addSpacePrefix">> = {
  spm: { special: { bos: 1, eos: 2, unk: 0 }, addBos: true, addEos: false, addSpacePrefix: true },
  bpe: { special: {}, addBos: false, addEos: false, addSpacePrefix: false },
  pieceBpe: { special: {}, addBos: true, addEos: false, addSpacePrefix: false },
  unigram: { special: { eos: 1, unk: 2, pad: 0 }, addBos: false, addEos: true, addSpacePrefix: true },
};

/** SentencePiece's sign for a space, U+2581. */
export const SPACE = "▁";

/** A byte token's text in spm and unigram, `<0x0A>`. */
export function byteTokenText(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The byte that a text such as `<0x0A>` stands for. */
export function byteOfTokenText(text: string): number | undefined {
  const hex = BYTE_TOKEN.exec(text)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}
