import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { t } from "../../language/t.js";

// tokenizer.json holds a pipeline: normalizer → pre_tokenizer → model → post_processor, and a decoder back.
// Each of its stages is an object with a `type`, or a Sequence of such objects.

/** Larger than any seen: a tokenizer.json of a quarter of a million tokens has 35 MB. */
export const MAX_VOCAB_BYTES = 128 << 20;
/** Of JSON: a merge is three, and the largest vocabularies have half a million. */
export const MAX_VOCAB_VALUES = 3 * 2 ** 20;

export type Stage = Readonly<Record<string, unknown>> & { readonly type: string };

const stage = v.looseObject({ type: v.string() });
const MAX_TOKEN_ID = 2 ** 31 - 1;
const tokenId = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_TOKEN_ID));
const schema = v.looseObject({
  normalizer: v.nullish(stage, null),
  pre_tokenizer: v.nullish(stage, null),
  post_processor: v.nullish(stage, null),
  decoder: v.nullish(stage, null),
  added_tokens: v.nullish(
    v.array(
      v.looseObject({
        id: tokenId,
        content: v.string(),
        special: v.boolean(),
        normalized: v.nullish(v.boolean()),
        single_word: v.nullish(v.boolean()),
        lstrip: v.nullish(v.boolean()),
        rstrip: v.nullish(v.boolean()),
      }),
    ),
  ),
  model: v.looseObject({
    type: v.string(),
    vocab: v.unknown(),
    merges: v.optional(v.unknown()),
    unk_token: v.nullish(v.string()),
    unk_id: v.nullish(tokenId),
    byte_fallback: v.nullish(v.boolean()),
    ignore_merges: v.nullish(v.boolean()),
    fuse_unk: v.nullish(v.boolean()),
    continuing_subword_prefix: v.nullish(v.string()),
    end_of_word_suffix: v.nullish(v.string()),
  }),
});

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_TOKEN_ID;
}

export type TokenizerJson = v.InferOutput<typeof schema>;

/** The value of a tokenizer.json; @throws LlqError `bad-input` when it is none */
export function parseTokenizerJson(name: string, json: unknown): TokenizerJson {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  throw badInput(t`${name}: not a tokenizer.json: ${faultsOf(result.issues, 3)}`);
}

/** The stages of a part of the pipeline in order, Sequences opened up. */
export function stages(part: Stage | null | undefined): Stage[] {
  if (part === null || part === undefined) return [];
  const inner = part["normalizers"] ?? part["pretokenizers"] ?? part["processors"] ?? part["decoders"];
  if (part.type !== "Sequence" || !Array.isArray(inner)) return [part];
  return inner.flatMap((each) => (v.is(stage, each) ? stages(each) : []));
}

/** The tokens of a BPE model by id. @throws LlqError `bad-input` unless each has an id of its own */
export function bpeTokens(name: string, { model }: TokenizerJson): Map<number, string> {
  if (typeof model.vocab !== "object" || model.vocab === null) throw badInput(t`${name}: no model.vocab`);
  const ids = model.vocab as Readonly<Record<string, unknown>>;
  const tokens = new Map<number, string>();
  // a pair of text and id, and a schema, for each would take as long as all else
  for (const text of Object.keys(ids)) {
    const id = ids[text];
    if (!isTokenId(id) || tokens.has(id)) {
      throw badInput(
        t`${name}: token ${JSON.stringify(text)} has id ${String(id)}, which is no id or another token's`,
      );
    }
    tokens.set(id, text);
  }
  return tokens;
}

/** The merges of a BPE model, first come first: `["a", "b"]`, or `"a b"` in older files. */
export function bpeMerges(name: string, json: TokenizerJson): (readonly [left: string, right: string])[] {
  return mapMerges<readonly [string, string]>(
    name,
    json,
    (merge, space) => [merge.slice(0, space), merge.slice(space + 1)],
    (pair) => pair,
  );
}

/** The same as `left right`, their spaces as `space` has them: others would part them in the wrong place. */
export function bpeMergeTexts(name: string, json: TokenizerJson, space: string): string[] {
  const spell = (text: string) => (text.includes(" ") ? text.replaceAll(" ", space) : text);
  return mapMerges(
    name,
    json,
    (merge) => merge,
    ([left, right]) => `${spell(left)} ${spell(right)}`,
  );
}

function mapMerges<T>(
  name: string,
  { model }: TokenizerJson,
  ofText: (merge: string, space: number) => T,
  ofPair: (pair: readonly [string, string]) => T,
): T[] {
  if (!Array.isArray(model.merges)) throw badInput(t`${name}: no model.merges`);
  return model.merges.map((merge: unknown, i) => {
    if (typeof merge === "string") {
      const space = merge.indexOf(" ");
      if (space >= 0 && merge.indexOf(" ", space + 1) < 0) return ofText(merge, space);
    } else if (isPair(merge)) return ofPair(merge);
    throw badInput(t`${name}: merge ${i} is not a pair: ${JSON.stringify(merge)}`);
  });
}

function isPair(value: unknown): value is readonly [string, string] {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string"
  );
}

/** Tokens and log-probabilities of a Unigram model in order of id. */
export function unigramTokens(name: string, { model }: TokenizerJson): [text: string, score: number][] {
  const pairs = v.safeParse(v.array(v.tuple([v.string(), v.number()])), model.vocab);
  if (!pairs.success) throw badInput(t`${name}: model.vocab is not a list of tokens and scores`);
  return pairs.output;
}

/**
 * Whether the post-processor puts the bos token first and the eos token last; undefined where it does not say.
 * As in llama.cpp, from its template for a single text.
 */
export function addedByPostProcessor(
  json: TokenizerJson,
  texts: ReadonlyMap<string, string>,
): { addBos: boolean | undefined; addEos: boolean | undefined } {
  let addBos: boolean | undefined;
  let addEos: boolean | undefined;
  for (const processor of stages(json.post_processor)) {
    if (processor.type === "ByteLevel") {
      addBos ??= false;
      addEos ??= false;
    }
    const template = v.safeParse(templateItems, processor["single"]);
    if (processor.type !== "TemplateProcessing" || !template.success || template.output.length < 2) continue;
    const first = template.output[0]?.SpecialToken?.id;
    const last = template.output.at(-1)?.SpecialToken?.id;
    if (first !== undefined) addBos = first === (texts.get("bos") ?? first);
    if (last !== undefined) addEos = last === (texts.get("eos") ?? last);
  }
  return { addBos, addEos };
}

const templateItems = v.array(v.looseObject({ SpecialToken: v.optional(v.looseObject({ id: v.string() })) }));
