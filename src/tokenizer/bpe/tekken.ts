import * as v from "valibot";
import { decodeBase64, encodeBase64 } from "#host/bytes";
import { badInput, LlqError } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { t } from "../../language/t.js";
import type { TokenizerConfig } from "../hf/hf-config.js";
import { TokenTable } from "../token-table.js";
import { DEFAULTS, type SpecialToken, type SpecialTokens, TOKEN_TYPE, type Vocab } from "../types.js";
import { spellBytes } from "./byte-alphabet.js";
import { everyMerge, spellMerges } from "./merge-pairs.js";
import { recognizePreTokenizer } from "./pretokenize.js";
import { TokenIndex } from "./token-index.js";

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 21));

/** Mistral's tekken.json, as mistral-common reads it. */
const schema = v.looseObject({
  config: v.looseObject({
    pattern: v.string(),
    default_vocab_size: count,
    default_num_special_tokens: count,
  }),
  /** More than are used: those of the first ranks are. */
  vocab: v.array(v.looseObject({ rank: count, token_bytes: v.string() })),
  special_tokens: v.nullish(v.array(v.looseObject({ rank: count, token_str: v.string() }))),
});

/** Where the file lists none: versions up to 7. */
// biome-ignore format: one line
const SPECIAL = [
  "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
  "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]",
  "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
];

const ROLES: Partial<Record<SpecialToken, string>> = { bos: "<s>", eos: "</s>", unk: "<unk>", pad: "<pad>" };

/**
 * The vocabulary of a tekken.json: control tokens first, then byte sequences, whose rank is the order of merging and, shifted
 * by the number of control tokens, the id. As in llama.cpp's converter, a text begins with bos.
 * @param rows of the model's embedding
 * @throws LlqError `bad-input` for a damaged file or more tokens than rows, `unsupported` for another pre-tokenizer
 */
export function vocabFromTekken(name: string, json: unknown, config: TokenizerConfig, rows?: number): Vocab {
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (!result.success) {
    throw badInput(`${name}: ${faultsOf(result.issues, 1)}`);
  }
  const { pattern, default_vocab_size: size, default_num_special_tokens: controls } = result.output.config;
  const { special_tokens: listed } = result.output;
  if (controls > size) throw badInput(t`${name}: ${controls} special tokens among ${size}`);
  const { names } = recognizePreTokenizer(name, { split: [pattern], ignoreMerges: true, nfc: false });
  const control = controlTokens(
    name,
    listed ?? SPECIAL.map((text, rank) => ({ rank, token_str: text })),
    controls,
  );
  const tokens = rankedTokens(name, result.output.vocab, size - controls);
  const table = new TokenTable(name, size, rows);
  for (const [id, text] of [...control, ...tokens].entries()) {
    table.set(id, text, id < controls ? TOKEN_TYPE.CONTROL : TOKEN_TYPE.NORMAL, 0);
  }
  return {
    kind: "bpe",
    tokens: table.tokens,
    types: table.types,
    scores: table.scores,
    merges: spellMerges(everyMerge(name, TokenIndex.of(tokens)), tokens),
    pre: names[0]!,
    special: specialTokens(control),
    addBos: true,
    addEos: false,
    addSpacePrefix: DEFAULTS.bpe.addSpacePrefix,
    removeExtraWhitespaces: false,
    chatTemplates: config.chatTemplates,
  };
}

/** By id; those that have no name get one that says which they are. */
function controlTokens(
  name: string,
  listed: readonly { readonly rank: number; readonly token_str: string }[],
  length: number,
): string[] {
  const tokens = Array.from({ length }, (_, id) => `<SPECIAL_${id}>`);
  for (const [i, { rank, token_str: text }] of listed.entries()) {
    if (rank !== i || rank >= length)
      throw badInput(t`${name}: special token ${i} has the rank ${rank} of ${length}`);
    tokens[rank] = text;
  }
  if (new Set(tokens).size < length) throw badInput(t`${name}: a special token is there twice`);
  return tokens;
}

/** In the byte alphabet, by rank; ranks from `length` on are not used. */
function rankedTokens(
  name: string,
  vocab: readonly { readonly rank: number; readonly token_bytes: string }[],
  length: number,
): string[] {
  if (vocab.length < length) throw badInput(t`${name}: ${vocab.length} tokens; ${length} are used`);
  const tokens = vocab.slice(0, length).map(({ rank, token_bytes: base64 }, i) => {
    const bytes = decodeBase64(base64);
    if (rank !== i || bytes.length === 0 || encodeBase64(bytes) !== base64) {
      throw badInput(t`${name}: vocab[${i}] is not the token of rank ${i}`);
    }
    return spellBytes(bytes);
  });
  if (new Set(tokens).size < length) throw badInput(t`${name}: a token is there twice`);
  const apart = tokens.slice(0, 256).findIndex((token) => token.length !== 1);
  if (apart >= 0 || length < 256) {
    throw new LlqError("unsupported", t`${name}: the first 256 tokens are not the 256 bytes`);
  }
  return tokens;
}

function specialTokens(control: readonly string[]): SpecialTokens {
  const special: Partial<Record<SpecialToken, number>> = {};
  for (const [role, text] of Object.entries(ROLES)) {
    const id = control.indexOf(text);
    if (id >= 0) special[role as SpecialToken] = id;
  }
  return special;
}
