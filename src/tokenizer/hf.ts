import { Tokenizer as Library } from "@huggingface/tokenizers";
import { badInput, LlqError } from "../../formats/errors.js";
import { parseTokenizerJson } from "./hf-pipeline.js";
import { IdList } from "./ids.js";
import type { Tokenizer } from "./tokenizer.js";
import { TOKEN_TYPE, type Vocab } from "./types.js";

/** Text goes to the library in pieces of about this many characters, which keeps its regular expressions short of memory. */
const PIECE = 1 << 16;

/**
 * The tokenizer of a tokenizer.json as Hugging Face's own library runs it: a second opinion on our encoder and
 * on what became of the vocabulary in GGUF. For byte-level BPE only (`vocab.kind`): over SentencePiece's words
 * the library is some thirty times slower than ours, and pieces would each be given a prefix.
 * @throws LlqError `unsupported` for other kinds, and where the library refuses the file
 */
export function createHfTokenizer(name: string, json: unknown, vocab: Vocab): Tokenizer {
  if (vocab.kind !== "bpe") throw new LlqError("unsupported", `${name}: not byte-level BPE`);
  const library = load(name, json);
  return {
    encode(text, { addBos = vocab.addBos } = {}) {
      const ids = new IdList();
      if (addBos && vocab.special.bos !== undefined) ids.push(vocab.special.bos);
      for (const piece of cutAtLines(text, PIECE)) {
        for (const id of library.encode(piece, { add_special_tokens: false }).ids) {
          if (!(id >= 0 && id < vocab.tokens.length)) {
            throw badInput(`${name}: id ${id} is not in a vocabulary of ${vocab.tokens.length}`);
          }
          ids.push(id);
        }
      }
      return ids.toArray();
    },
    decode(ids) {
      const plain = Array.from(ids).filter((id) => vocab.types[id] !== TOKEN_TYPE.CONTROL);
      return library.decode(plain, { clean_up_tokenization_spaces: false });
    },
  };
}

/** Control tokens are taken out: in a text to be measured their spelling is plain text, as in llama.cpp. */
function load(name: string, json: unknown): Library {
  const { added_tokens, ...pipeline } = parseTokenizerJson(name, json);
  const plain = (added_tokens ?? []).filter(({ special }) => !special);
  try {
    return new Library({ ...pipeline, added_tokens: plain, post_processor: null }, {});
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
