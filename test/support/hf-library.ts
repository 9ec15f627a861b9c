import { Tokenizer as Library } from "@huggingface/tokenizers";
import { badInput, LlqError } from "../../formats/errors.js";
import { decodeBpe } from "../../src/tokenizer/bpe/bpe.js";
import { parseTokenizerJson } from "../../src/tokenizer/hf/hf-pipeline.js";
import { IdList } from "../../src/tokenizer/ids.js";
import { textStart } from "../../src/tokenizer/special.js";
import type { Tokenizer, Vocab } from "../../src/tokenizer/types.js";

/** Characters of text that the library is given at a time, or a few more: its expressions need memory. */
const PIECE = 1 << 15;

/**
 * A second opinion on our encoder: a tokenizer.json as @huggingface/tokenizers runs it; `name` is the file, for messages.
 * For byte-level BPE only
 * (`vocab.kind`): over SentencePiece's words the library is some thirty times slower than our encoder, needs a
 * deep stack for unigram, and would put a space in front of every piece of text it is given.
 * @throws LlqError `unsupported` for other kinds, and where the library refuses the file
 */
export function createHfTokenizer(name: string, json: unknown, vocab: Vocab): Tokenizer {
  if (vocab.kind !== "bpe") throw new LlqError("unsupported", `${name}: not byte-level BPE`);
  const library = load(name, json);
  return {
    encode(text, { addBos = vocab.addBos } = {}) {
      const ids = new IdList();
      if (addBos) for (const id of textStart(vocab.special)) ids.push(id);
      for (const piece of cutAtLines(text, PIECE)) {
        for (const id of library.encode(piece, { add_special_tokens: false }).ids) {
          if (vocab.tokens[id] === undefined) {
            throw badInput(`${name}: id ${id} is not in a vocabulary of ${vocab.tokens.length}`);
          }
          ids.push(id);
        }
      }
      return ids.toArray();
    },
    decode: (ids) => decodeBpe(vocab, ids),
  };
}

/** Control tokens are taken out: in a text to be measured their spelling is plain text, as in llama.cpp. */
function load(name: string, json: unknown): Library {
  const { normalizer, pre_tokenizer, decoder, model, added_tokens } = parseTokenizerJson(name, json);
  const plain = (added_tokens ?? []).filter(({ special }) => !special);
  const parts = { normalizer, pre_tokenizer, decoder, model, post_processor: null };
  try {
    return new Library({ ...parts, added_tokens: plain }, {});
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LlqError("unsupported", `${name}: @huggingface/tokenizers refuses it: ${why}`, { cause });
  }
}

/**
 * A text in pieces of at least `size` characters. Cuts are made only behind a line end that stands between a
 * visible character and a letter. There every known pre-tokenizer cuts as well: none lets a letter join the
 * line end before it, and with one line end alone none looks at what follows.
 */
export function* cutAtLines(text: string, size: number): Generator<string> {
  const place = /(?<=\P{White_Space}\n)(?=\p{L})/gu;
  let start = 0;
  while (start < text.length) {
    place.lastIndex = start + size;
    const end = place.exec(text)?.index ?? text.length;
    yield text.slice(start, end);
    start = end;
  }
}
