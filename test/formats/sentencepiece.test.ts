import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { refusal } from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { type Field, protobuf, varint } from "../support/protobuf.js";
import { TINY_LLAMA } from "../support/scratch.js";
import { TARGETS } from "../targets.js";

const read = (bytes: Uint8Array) => readSentencePiece(new BufferSource("x.model", bytes));
const piece = (text: string, score = 0, type = 1): Field => [
  1,
  protobuf([
    [1, text],
    [2, { f32: score }],
    [3, type],
  ]),
];

test("the sample's model", () => {
  const { pieces, precompiledCharsmap, ...rest } = read(readFileSync(`${TINY_LLAMA}/tokenizer.model`));
  expect(rest).toEqual({
    modelType: "bpe",
    byteFallback: true,
    treatWhitespaceAsSuffix: false,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: -1,
    addDummyPrefix: true,
    removeExtraWhitespaces: false,
    escapeWhitespaces: true,
  });
  expect(precompiledCharsmap).toHaveLength(0);
  expect(pieces).toHaveLength(2048);
  expect([0, 1, 3, 258, 259, 260].map((id) => pieces[id])).toEqual([
    { text: "<unk>", score: 0, type: 2 },
    { text: "<s>", score: 0, type: 3 },
    { text: "<0x00>", score: 0, type: 6 },
    { text: "<0xFF>", score: 0, type: 6 },
    { text: "▁t", score: -0, type: 1 },
    { text: "he", score: -1, type: 1 },
  ]);
});

test("what is left out has protobuf's defaults", () => {
  expect(read(protobuf([[1, protobuf([[1, "a"]])]]))).toEqual({
    pieces: [{ text: "a", score: 0, type: 1 }],
    modelType: "unigram",
    byteFallback: false,
    treatWhitespaceAsSuffix: false,
    unkId: 0,
    bosId: 1,
    eosId: 2,
    padId: -1,
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
    precompiledCharsmap: new Uint8Array(0),
  });
});

test("fields of no use are stepped over, and of a field given twice the last counts", () => {
  const trainer = protobuf([
    [3, 1],
    [99, "x"],
    [98, { f32: 1 }],
    [97, 5],
    [3, 2],
    [43, -1n],
    [40, 7],
  ]);
  const { modelType, padId, unkId } = read(protobuf([piece("a"), [2, trainer], [200, "later"]]));
  expect([modelType, padId, unkId]).toEqual(["bpe", -1, 7]);
});

describe("refused", () => {
  const a = piece("a");
  const bytes = (...values: number[]) => Uint8Array.of(...values);
  const join = (...parts: Uint8Array[]) => Buffer.concat(parts);
  const model = (...fields: Field[]) => protobuf([a, ...fields]);
  const cases: [string, Uint8Array, string][] = [
    ["an empty file", bytes(), "byte 0: no pieces: not a SentencePiece model"],
    ["another format", Buffer.from("GGUF\x03\0\0\0"), "byte 1: wire type 7 is not allowed"],
    ["text", Buffer.from("hello, world"), "byte 3: wire type 4 is not allowed"],
    ["a rank file", Buffer.from("IQ== 0\nIg== 1\n"), "byte 0: no pieces: not a SentencePiece model"],
    [
      "a piece longer than the file",
      bytes(0x0a, 0x7f),
      "byte 1: a field of 127 bytes, but its message ends at 2",
    ],
    [
      "a length of 2^63",
      join(bytes(0x0a), varint(2n ** 63n)),
      "byte 1: a field of 9223372036854776000 bytes, but its message ends at 11",
    ],
    [
      "a text longer than its piece",
      bytes(0x0a, 0x02, 0x0a, 0x05),
      "byte 3: a field of 5 bytes, but its message ends at 4",
    ],
    [
      "a number that does not end",
      join(protobuf([a]), new Uint8Array(12).fill(0xff)),
      "byte 12: a number of more than ten bytes",
    ],
    [
      "a number cut short",
      join(protobuf([a]), bytes(0x10, 0x80)),
      "byte 13: the message ends inside a number",
    ],
    [
      "field number 0",
      join(protobuf([a]), bytes(0x02, 0x00)),
      "byte 12: field number 0 in a protobuf message",
    ],
    ["a group", join(protobuf([a]), bytes(0x0b)), "byte 13: wire type 3 is not allowed"],
    ["wire type 7", join(protobuf([a]), bytes(0x0f)), "byte 13: wire type 7 is not allowed"],
    [
      "a float cut short",
      join(protobuf([a]), bytes(0x15, 0)),
      "byte 13: a field of 4 bytes, but its message ends at 14",
    ],
    [
      "a double cut short",
      join(protobuf([a]), bytes(0x11, 0)),
      "byte 13: a field of 8 bytes, but its message ends at 14",
    ],
    ["a piece that is a number", protobuf([[1, 5]]), "byte 1: wire type 0 where bytes are expected"],
    [
      "a piece's text that is a number",
      protobuf([[1, protobuf([[1, 5]])]]),
      "byte 3: wire type 0 where bytes are expected",
    ],
    [
      "a score that is text",
      protobuf([[1, protobuf([[2, "x"]])]]),
      "byte 4: wire type 2 where a float is expected",
    ],
    [
      "a type that is text",
      protobuf([[1, protobuf([[3, "x"]])]]),
      "byte 4: wire type 2 where an integer is expected",
    ],
    ["type 0", protobuf([piece("a", 0, 0)]), "byte 2: piece type 0 is unknown"],
    ["type 7", protobuf([piece("a", 0, 7)]), "byte 2: piece type 7 is unknown"],
    ["a negative type", protobuf([[1, protobuf([[3, -1n]])]]), "byte 2: piece type -1 is unknown"],
    [
      "a score that is not a number",
      protobuf([piece("a", Number.NaN)]),
      "byte 2: the score of a piece is not a number",
    ],
    [
      "text that is not UTF-8",
      protobuf([[1, protobuf([[1, bytes(0xff)]])]]),
      "byte 4: text is not valid UTF-8",
    ],
    ["a trainer_spec that is a number", model([2, 3]), "byte 13: wire type 0 where bytes are expected"],
    ["a damaged trainer_spec", model([2, bytes(0xff)]), "byte 14: the message ends inside a number"],
    ["model type 9", model([2, protobuf([[3, 9]])]), "byte 0: model_type 9 is unknown"],
    [
      "a model type that is text",
      model([2, protobuf([[3, "x"]])]),
      "byte 16: wire type 2 where an integer is expected",
    ],
    [
      "a flag that is text",
      model([3, protobuf([[3, "x"]])]),
      "byte 16: wire type 2 where an integer is expected",
    ],
    [
      "replacements that are a number",
      model([3, protobuf([[2, 1]])]),
      "byte 15: wire type 0 where bytes are expected",
    ],
    [
      "a million empty pieces",
      new Uint8Array(2 ** 20 + 4).map((_, i) => (i % 2 === 0 ? 0x0a : 0)),
      "byte 1048576: more than 524288 pieces",
    ],
  ];
  test.each(cases)("%s", (_, file, message) => {
    expect(refusal(() => read(file))).toBe(`bad-input: x.model: ${message}`);
  });

  test.each(TARGETS.filter(({ name }) => name === "sentencepiece"))(
    "3000 damaged files",
    (target) => {
      const { accepted, refused } = attack(target, 3000, 1);
      expect(accepted).toBeGreaterThan(300);
      expect(refused).toBeGreaterThan(300);
    },
    120_000,
  );
});
