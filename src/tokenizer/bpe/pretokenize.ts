import { LlqError, nearest } from "../../../formats/errors.js";
import { t } from "../../language/t.js";

/** How byte-level BPE cuts a text before it merges. */
export interface PreTokenizer {
  /** Values of `tokenizer.ggml.pre`; the first is the one written. */
  readonly names: readonly string[];
  /**
   * Regular expressions in the dialect of tokenizer.json. Each is applied to the pieces that those before it
   * left: a match becomes a piece of its own, and so does what lies between two.
   */
  readonly split: readonly string[];
  /** Another way a tokenizer.json says the same. */
  readonly alias?: readonly string[];
  /** A piece that is a token as a whole is not merged. */
  readonly ignoreMerges?: boolean;
  /** The text is first brought to Unicode's form C, as the publishers' tokenizers do; llama.cpp leaves it out. */
  readonly nfc?: boolean;
  /** What llama.cpp takes for `add_bos_token` when the key is missing. */
  readonly addBos?: boolean;
}

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = "\\s+(?!\\S)|\\s+";
const SIGNS = " ?[^\\s\\p{L}\\p{N}]+";

/** What `ByteLevel` splits by. */
export const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|${SIGNS}|${SPACES}`;

/** GPT-4's expression and its descendants, which differ in how many digits stay together. */
function gpt4(digits: string): string {
  return `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${SIGNS}[\\r\\n]*|\\s*[\\r\\n]+|${SPACES}`;
}

/** GPT-4o's and its descendants: a capital after a small letter begins a new piece. */
function gpt4o(digits: string, contraction: string): string {
  const before = "[^\\r\\n\\p{L}\\p{N}]?";
  const capitals = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  const small = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  const words = `${before}${capitals}*${small}+${contraction}|${before}${capitals}+${small}*${contraction}`;
  return `${words}|${digits}|${SIGNS}[\\r\\n/]*|\\s*[\\r\\n]+|${SPACES}`;
}

/** DeepSeek's list of letters that have a case, as of the Unicode it was made with. */
const CASED =
  "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}";
const CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

const DEEPSEEK_LLM = [
  "[\\r\\n]",
  `\\s?[${CASED}]+`,
  "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
  "\\s+$",
  CJK,
];

/** What `Digits` splits by, together and one by one. */
export const DIGIT_RUNS = "\\p{N}+";
export const DIGIT = "\\p{N}";
/** What `Punctuation` splits by; ASCII's symbols count. */
export const PUNCTUATION = "[\\p{P}$+<=>^`|~]";

// Split as the publishers' files do. llama.cpp does the same for each, but for marks on letters (\p{M}), which it
// takes for signs in tekken and gpt-4o, and for the normal form C.
export const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  {
    names: [
      "gpt-2",
      "phi-2",
      "jina-es",
      "jina-de",
      "jina-v2-es",
      "jina-v2-de",
      "gigachat",
      "a.x-4.0",
      "mellum",
      "modern-bert",
      "exaone4",
      "roberta-bpe",
      "jais",
      "trillion",
      "granite-docling",
    ],
    split: [GPT2],
  },
  { names: ["mpt", "olmo"], split: [GPT2], nfc: true },
  {
    names: ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
    split: [gpt4("\\p{N}{1,3}")],
    ignoreMerges: true,
    addBos: true,
  },
  { names: ["glm4", "glm5"], split: [gpt4("\\p{N}{1,3}")], ignoreMerges: true },
  { names: ["smaug-bpe", "dbrx", "chatglm-bpe"], split: [gpt4("\\p{N}{1,3}")] },
  { names: ["qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2"], split: [gpt4("\\p{N}")], nfc: true },
  { names: ["stablelm2", "hunyuan", "solar-open", "grok-2"], split: [gpt4("\\p{N}")] },
  { names: ["tekken"], split: [gpt4o("\\p{N}", "")], ignoreMerges: true, addBos: true },
  { names: ["gpt-4o", "llama4", "kanana2", "minimax-m2"], split: [gpt4o("\\p{N}{1,3}", `${CONTRACTION}?`)] },
  {
    names: ["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"],
    split: [DIGIT, GPT2],
  },
  {
    names: ["falcon"],
    split: [`${PUNCTUATION}+`, GPT2, "[0-9][0-9][0-9]"],
    // Behind ByteLevel, Digits sees the byte alphabet, where no token joins what it would part.
    alias: [`${PUNCTUATION}+`, GPT2, DIGIT_RUNS, "[0-9][0-9][0-9]"],
  },
  { names: ["deepseek-llm"], split: [...DEEPSEEK_LLM, DIGIT_RUNS], alias: [...DEEPSEEK_LLM, DIGIT] },
  { names: ["deepseek-coder"], split: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, DIGIT] },
  {
    names: ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
    split: [
      "\\p{N}{1,3}",
      "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
      `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|${SPACES}`,
    ],
  },
  {
    names: ["bloom", "gpt3-finnish", "poro-chat"],
    split: [" ?[^(\\s|.,!?…。，、।۔،)]+"],
    alias: [" ?[^(\\s|[.,!?…。，、।۔،])]+"],
  },
  {
    names: ["viking"],
    split: [" ?[^(\\s|.,!?…。，、।۔،)]+", DIGIT],
    alias: [" ?[^(\\s|[.,!?…。，、।۔،])]+", DIGIT],
  },
  // What llama.cpp does where a GGUF file says nothing.
  { names: ["default"], split: ["[\\p{P}$+<=>^~|]+", GPT2, DIGIT_RUNS, "[0-9][0-9][0-9]"] },
];

/** The pre-tokenizer that GGUF calls so, if it is known. */
export function findPreTokenizer(name: string): PreTokenizer | undefined {
  return PRE_TOKENIZERS.find(({ names }) => names.includes(name));
}

/** The same, of necessity. @throws LlqError `unsupported` when it is not known */
export function preTokenizer(name: string): PreTokenizer {
  const found = findPreTokenizer(name);
  if (found !== undefined) return found;
  const near = nearest(
    name,
    PRE_TOKENIZERS.flatMap(({ names }) => names),
  );
  throw new LlqError("unsupported", t`pre-tokenizer ${name} is not known`, {
    hint: near && t`the nearest known is ${near}`,
  });
}

/** What a tokenizer.json asks for. */
export interface SplitRequest {
  readonly split: readonly string[];
  readonly ignoreMerges: boolean;
  readonly nfc: boolean;
}

/**
 * The pre-tokenizer that splits so; among several the one whose other rules agree as well, ignoreMerges before
 * nfc. `name` is the file, for messages.
 * @throws LlqError `unsupported` when none does, with the expressions and the nearest known pre-tokenizer
 */
export function recognizePreTokenizer(name: string, request: SplitRequest): PreTokenizer {
  const wanted = splitKey(request.split);
  const agreement = (row: PreTokenizer) =>
    (Boolean(row.ignoreMerges) === request.ignoreMerges ? 2 : 0) + (Boolean(row.nfc) === request.nfc ? 1 : 0);
  const [best] = PRE_TOKENIZERS.filter(({ split, alias }) =>
    [split, alias].some((each) => each !== undefined && splitKey(each) === wanted),
  ).sort((a, b) => agreement(b) - agreement(a));
  if (best !== undefined) return best;
  const near = nearest(
    wanted,
    PRE_TOKENIZERS.map(({ split }) => splitKey(split)),
  );
  const row = PRE_TOKENIZERS.find(({ split }) => splitKey(split) === near);
  throw new LlqError("unsupported", t`${name}: unknown pre-tokenizer, which splits by ${wanted}`, {
    hint: row && t`the nearest known is ${row.names[0]}, which splits by ${near}`,
  });
}

/** Expressions as one text, however line ends in them are written. */
function splitKey(split: readonly string[]): string {
  return split.join("  ").replaceAll("\r", "\\r").replaceAll("\n", "\\n");
}

/** A function that cuts a text into pieces, which together are the text. */
export function createSplitter({ split }: PreTokenizer): (text: string) => string[] {
  const expressions = split.map(toJavaScript);
  return (text) => {
    let pieces = [text];
    for (const expression of expressions) {
      const finer: string[] = [];
      for (const piece of pieces) isolate(piece, expression, finer);
      pieces = finer;
    }
    return pieces;
  };
}

/** Matches and what lies between them. */
function isolate(text: string, expression: RegExp, out: string[]): void {
  let end = 0;
  expression.lastIndex = 0;
  for (let found = expression.exec(text); found !== null; found = expression.exec(text)) {
    const [match] = found;
    if (found.index > end) out.push(text.slice(end, found.index));
    out.push(match);
    end = found.index + match.length;
  }
  if (end < text.length) out.push(end === 0 ? text : text.slice(end));
}

/**
 * An expression of tokenizer.json (Oniguruma's dialect, as far as the table above uses it) in JavaScript's:
 * `\s` is Unicode's White_Space, where JavaScript has U+FEFF for U+0085, and `(?i:…)`, which Node 20 lacks, is
 * spelled out, the long s included.
 */
function toJavaScript(source: string): RegExp {
  const cases = source.replace(
    /\(\?i:([^)]*)\)/g,
    (_, body: string) => `(?:${body.replace(/[a-z]/g, bothCases)})`,
  );
  return new RegExp(cases.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"), "gu");
}

function bothCases(letter: string): string {
  return `[${letter}${letter.toUpperCase()}${letter === "s" ? "ſ" : ""}]`;
}
