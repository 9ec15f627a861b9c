import { t } from "../../src/language/t.js";
import type { ByteSource } from "../bytes.js";
import { badInput } from "../errors.js";
import { refuseImpostor } from "../impostors.js";

/** A SentencePiece `.model`: pieces in order of id, and the settings that decide how text becomes pieces. */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  readonly modelType: "unigram" | "bpe" | "word" | "char";
  /** Characters that are no piece become one `<0xXX>` piece per UTF-8 byte. */
  readonly byteFallback: boolean;
  /** A word carries its space at its end rather than at its start. */
  readonly treatWhitespaceAsSuffix: boolean;
  /** Ids; -1 for none. */
  readonly unkId: number;
  readonly bosId: number;
  readonly eosId: number;
  readonly padId: number;
  /** A space is put in front of the text. */
  readonly addDummyPrefix: boolean;
  /** Spaces at both ends are dropped, and runs of them collapse. */
  readonly removeExtraWhitespaces: boolean;
  /** Spaces become U+2581. */
  readonly escapeWhitespaces: boolean;
  /** Compiled table of character replacements; empty for `identity`. */
  readonly precompiledCharsmap: Uint8Array;
}

export interface SentencePiece {
  readonly text: string;
  readonly score: number;
  /** 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte: the numbers GGUF uses too. */
  readonly type: number;
}

// Field numbers and defaults are those of sentencepiece_model.proto.
const MODEL = { pieces: 1, trainerSpec: 2, normalizerSpec: 3 };
const PIECE = { text: 1, score: 2, type: 3 };
const TRAINER = {
  modelType: 3,
  treatWhitespaceAsSuffix: 24,
  byteFallback: 35,
  unkId: 40,
  bosId: 41,
  eosId: 42,
  padId: 43,
};
const NORMALIZER = {
  precompiledCharsmap: 2,
  addDummyPrefix: 3,
  removeExtraWhitespaces: 4,
  escapeWhitespaces: 5,
};

/** No vocabulary has more pieces; a damaged file could have a great many empty ones. */
const MAX_PIECES = 1 << 19;
/** Of all messages together; a piece has three, and is one. */
const MAX_FIELDS = 5 * MAX_PIECES;
const MAX_BYTES = 128 << 20;

/** Of the fields above. */
const LARGEST_NUMBER = 63;

const MODEL_TYPES = ["unigram", "bpe", "word", "char"] as const;
const LARGEST_TYPE = 6;

/** @throws LlqError `bad-input` for anything that is not a well-formed ModelProto with at least one piece */
export function readSentencePiece(source: ByteSource): SentencePieceModel {
  if (source.byteLength > MAX_BYTES) {
    throw badInput(
      t`${source.name}: ${source.byteLength} bytes; a SentencePiece model has at most ${MAX_BYTES}`,
    );
  }
  const bytes = source.read(0, source.byteLength);
  refuseImpostor(source.name, bytes);
  const wire = new WireReader(source.name, bytes);
  const model = wire.message(0, source.byteLength);
  const trainer = wire.nested(model, MODEL.trainerSpec);
  const normalizer = wire.nested(model, MODEL.normalizerSpec);
  const pieces = (model.get(MODEL.pieces) ?? []).map((field) => readPiece(wire, field));
  if (pieces.length === 0) wire.fail(0, t`no pieces: not a SentencePiece model`);
  const modelType = wire.int(trainer, TRAINER.modelType, 1);
  return {
    pieces,
    modelType: MODEL_TYPES[modelType - 1] ?? wire.fail(0, t`model_type ${modelType} is unknown`),
    byteFallback: wire.bool(trainer, TRAINER.byteFallback, false),
    treatWhitespaceAsSuffix: wire.bool(trainer, TRAINER.treatWhitespaceAsSuffix, false),
    unkId: wire.int(trainer, TRAINER.unkId, 0),
    bosId: wire.int(trainer, TRAINER.bosId, 1),
    eosId: wire.int(trainer, TRAINER.eosId, 2),
    padId: wire.int(trainer, TRAINER.padId, -1),
    addDummyPrefix: wire.bool(normalizer, NORMALIZER.addDummyPrefix, true),
    removeExtraWhitespaces: wire.bool(normalizer, NORMALIZER.removeExtraWhitespaces, true),
    escapeWhitespaces: wire.bool(normalizer, NORMALIZER.escapeWhitespaces, true),
    precompiledCharsmap: wire.bytes(normalizer, NORMALIZER.precompiledCharsmap),
  };
}

function readPiece(wire: WireReader, field: Field): SentencePiece {
  const piece = wire.message(...wire.range(field));
  const score = wire.float(piece, PIECE.score, 0);
  const type = wire.int(piece, PIECE.type, 1);
  if (Number.isNaN(score)) wire.fail(field.start, t`the score of a piece is not a number`);
  if (type < 1 || type > LARGEST_TYPE) wire.fail(field.start, t`piece type ${type} is unknown`);
  return { text: wire.text(piece, PIECE.text), score, type };
}

// Wire types. https://protobuf.dev/programming-guides/encoding/
const VARINT = 0;
const I64 = 1;
const LEN = 2;
const I32 = 5;

/** A field as it lies in the file: the low 32 bits of a varint, else the bytes from `start` to `end`. */
interface Field {
  readonly wire: number;
  readonly int32: number;
  readonly start: number;
  readonly end: number;
}

/** The fields of a message by number, each in file order. */
type Message = ReadonlyMap<number, readonly Field[]>;

/**
 * Just enough protobuf: a message becomes a table of located fields, and nothing is built until it is asked
 * for. A field must end within its message. Of a scalar given twice the last one counts, as the format says.
 */
class WireReader {
  readonly #name: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #fields = 0;

  constructor(name: string, bytes: Uint8Array) {
    this.#name = name;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(at: number, what: string): never {
    throw badInput(t`${this.#name}: byte ${at}: ${what}`);
  }

  message(start: number, end: number): Message {
    const fields = new Map<number, Field[]>();
    for (let at = start, next = start; at < end; at = next) {
      if (this.#fields++ === MAX_FIELDS) this.fail(at, t`more than ${MAX_FIELDS} fields`);
      const tag = this.#varint(at, end);
      const number = Math.floor(tag.value / 8);
      if (number === 0) this.fail(at, t`field number 0 in a protobuf message`);
      const field = this.#field(tag.value % 8, tag.end, end);
      next = field.end;
      if (number > LARGEST_NUMBER) continue; // and takes no memory
      const same = fields.get(number);
      if (same === undefined) fields.set(number, [field]);
      else if (same.push(field) > MAX_PIECES) this.fail(at, t`more than ${MAX_PIECES} pieces`);
    }
    return fields;
  }

  /** The message in field `number`, an empty one if absent. */
  nested(message: Message, number: number): Message {
    const field = message.get(number)?.at(-1);
    return field === undefined ? new Map() : this.message(...this.range(field));
  }

  range(field: Field): [start: number, end: number] {
    if (field.wire !== LEN) this.fail(field.start, t`wire type ${field.wire} where bytes are expected`);
    return [field.start, field.end];
  }

  bytes(message: Message, number: number): Uint8Array {
    const field = message.get(number)?.at(-1);
    return field === undefined ? new Uint8Array(0) : this.#bytes.slice(...this.range(field));
  }

  text(message: Message, number: number): string {
    const bytes = this.bytes(message, number);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.fail(message.get(number)?.at(-1)?.start ?? 0, t`text is not valid UTF-8`);
    }
  }

  int(message: Message, number: number, absent: number): number {
    const field = message.get(number)?.at(-1);
    if (field === undefined) return absent;
    if (field.wire !== VARINT)
      this.fail(field.start, t`wire type ${field.wire} where an integer is expected`);
    return field.int32;
  }

  bool(message: Message, number: number, absent: boolean): boolean {
    return this.int(message, number, absent ? 1 : 0) !== 0;
  }

  float(message: Message, number: number, absent: number): number {
    const field = message.get(number)?.at(-1);
    if (field === undefined) return absent;
    if (field.wire !== I32) this.fail(field.start, t`wire type ${field.wire} where a float is expected`);
    return this.#view.getFloat32(field.start, true);
  }

  #field(wire: number, start: number, limit: number): Field {
    if (wire === VARINT) {
      const { int32, end } = this.#varint(start, limit);
      return { wire, int32, start, end };
    }
    const [from, end] =
      wire === I64
        ? [start, start + 8]
        : wire === I32
          ? [start, start + 4]
          : wire === LEN
            ? this.#lengthPrefixed(start, limit)
            : this.fail(start, t`wire type ${wire} is not allowed`);
    if (end > limit) this.fail(start, t`a field of ${end - from} bytes, but its message ends at ${limit}`);
    return { wire, int32: 0, start: from, end };
  }

  #lengthPrefixed(start: number, limit: number): [start: number, end: number] {
    const length = this.#varint(start, limit);
    return [length.end, length.end + length.value];
  }

  /** Up to ten bytes of seven bits: a negative int32 is stored as 64 bits, whose low 32 are kept exactly. */
  #varint(start: number, limit: number): { value: number; int32: number; end: number } {
    let value = 0;
    let int32 = 0;
    for (let i = 0; i < 10; i++) {
      if (start + i >= limit) this.fail(start, t`the message ends inside a number`);
      const byte = this.#bytes[start + i]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (i < 5) int32 |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return { value, int32, end: start + i + 1 };
    }
    return this.fail(start, t`a number of more than ten bytes`);
  }
}
