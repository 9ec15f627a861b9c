import { ByteWriter } from "../../../formats/byte-writer.js";

/** A llama2.c file number by number, written as the caller says, right or wrong. */
export interface Llama2cParts {
  /** Absent: no magic, as version 0. */
  readonly version?: number;
  /** dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len */
  readonly numbers: readonly number[];
  readonly shared?: number;
  /** What stands between the flag and byte 256. */
  readonly padding?: number;
  /** The tensors' bytes, in the file's order. */
  readonly tensors: readonly Uint8Array[];
}

export function buildLlama2c({
  version,
  numbers,
  shared = 0,
  padding = 0,
  tensors,
}: Llama2cParts): Uint8Array {
  const w = new ByteWriter();
  if (version !== undefined) {
    w.u32(0x616b3432);
    w.i32(version);
  }
  for (const number of numbers) w.i32(number);
  if (version !== undefined) {
    w.u8(shared);
    w.bytes(new Uint8Array(256 - w.length).fill(padding));
  }
  for (const bytes of tensors) w.bytes(bytes);
  return w.toBytes();
}

/** tokenizer.bin: tokens as llama2.c writes them, `\n<s>\n` and a space for `▁`. */
export function buildTokenizerBin(
  tokens: readonly (readonly [text: string | Uint8Array, score: number, length?: number])[],
  longest = 64,
): Uint8Array {
  const w = new ByteWriter();
  w.u32(longest);
  for (const [text, score, length] of tokens) {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    w.f32(score);
    w.u32(length ?? bytes.length);
    w.bytes(bytes);
  }
  return w.toBytes();
}
