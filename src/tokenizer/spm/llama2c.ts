import { ByteReader, type ByteSource } from "../../../formats/bytes.js";
import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { byteTokenText, DEFAULTS, SPACE, TOKEN_TYPE, type Vocab } from "../types.js";

/** Ids 3 to 258 are the bytes, in order. */
const FIRST_BYTE = 3;
const SPECIAL = ["<unk>", "<s>", "</s>"];
const MAX_TOKEN = 2 ** 16;

/**
 * The vocabulary in llama2.c's tokenizer.bin, for a model of `rows` embedding rows: SentencePiece BPE without its
 * normaliser, which llama2.c does not have. See formats/llama2c.md for the layout.
 * @throws LlqError `bad-input` for a file that is damaged or has another number of tokens
 */
export function vocabFromLlama2c(source: ByteSource, rows: number): Vocab {
  const r = new ByteReader(source);
  const longest = r.u32();
  if (longest > MAX_TOKEN)
    r.fail(t`tokens of ${longest} bytes; at most ${MAX_TOKEN} are allowed`, undefined, 0);
  const tokens: string[] = [];
  const types: number[] = [];
  const scores = new Float32Array(rows);
  while (r.remaining > 0) {
    const id = tokens.length;
    if (id === rows) throw otherModel(source, t`more than the model's ${rows} tokens`);
    const at = r.offset;
    scores[id] = r.f32();
    const length = r.u32();
    if (length > longest)
      r.fail(t`token ${id} has ${length} bytes, the longest should have ${longest}`, undefined, at);
    const { text, type } = tokenOf(id, decode(r, length, id));
    tokens.push(text);
    types.push(type);
  }
  if (tokens.length < rows) throw otherModel(source, t`${tokens.length} tokens, the model has ${rows}`);
  const { special, addBos, addEos, addSpacePrefix } = DEFAULTS.spm;
  return {
    kind: "spm",
    ...{ tokens, types, scores, special, addBos, addEos, addSpacePrefix },
    pre: "default",
    removeExtraWhitespaces: false,
    chatTemplates: new Map(),
  };
}

function decode(r: ByteReader, length: number, id: number): string {
  const at = r.offset;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(r.bytes(length));
  } catch (cause) {
    if (cause instanceof TypeError)
      return r.fail(t`the text of token ${id} is not valid UTF-8`, undefined, at);
    throw cause;
  }
}

function tokenOf(id: number, stored: string): { text: string; type: number } {
  const { NORMAL, UNKNOWN, CONTROL, BYTE } = TOKEN_TYPE;
  const special = SPECIAL[id];
  if (special !== undefined) return { text: special, type: id === 0 ? UNKNOWN : CONTROL };
  const byte = id - FIRST_BYTE;
  if (byte < 256 && (stored === byteTokenText(byte) || stored === String.fromCodePoint(byte))) {
    return { text: byteTokenText(byte), type: BYTE };
  }
  return { text: stored.replaceAll(" ", SPACE), type: NORMAL };
}

function otherModel({ name }: ByteSource, what: string) {
  return badInput(t`${name}: has ${what}`, t`is it the tokenizer of another model?`);
}
