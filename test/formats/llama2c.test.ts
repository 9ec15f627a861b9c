import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { BufferSource, withFile } from "../../formats/bytes.js";
import { isLlama2c, readLlama2c } from "../../formats/llama2c/llama2c.js";
import { openContainer } from "../../formats/open.js";
import { readSentencePiece } from "../../formats/sentencepiece/sentencepiece.js";
import { openModel } from "../../src/model.js";
import { vocabFromLlama2c } from "../../src/tokenizer/spm/llama2c.js";
import { refusal } from "../support/build/build.js";
import { buildLlama2c, buildTokenizerBin, type Llama2cParts } from "../support/build/build-llama2c.js";
import { attack } from "../support/damage.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { TARGETS } from "../targets.js";

const folder = scratchFolder();
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;

function llq(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** Tensors of a file by name, as bytes. */
function tensorsOf(path: string): Map<string, Uint8Array> {
  const { files, tensors } = openContainer(path);
  const bytes = readFileSync(files[0]!);
  return new Map(
    [...tensors].map(([name, { offset, byteLength }]) => [name, bytes.subarray(offset, offset + byteLength)]),
  );
}

/** A file's tensor names in the order of each version, for tiny-llama's four layers. */
function order(version: number): string[] {
  const each = (...names: string[]) =>
    names.flatMap((name) => Array.from({ length: 4 }, (_, i) => `blk.${i}.${name}.weight`));
  const attention = each("attn_q", "attn_k", "attn_v", "attn_output");
  const feedForward = each("ffn_gate", "ffn_down", "ffn_up");
  return version === 0
    ? [
        "token_embd.weight",
        ...each("attn_norm"),
        ...attention,
        ...each("ffn_norm"),
        ...feedForward,
        "output_norm.weight",
      ]
    : [
        ...each("attn_norm", "ffn_norm"),
        "output_norm.weight",
        "token_embd.weight",
        ...attention,
        ...feedForward,
      ];
}

describe("tiny-llama written as llama2.c", () => {
  const reference = join(folder, "reference.gguf");
  const text = new URL("../../samples/text.txt", import.meta.url).pathname;
  const numbers = [256, 768, 4, 8, 2, 2048, 256];
  let weights: Map<string, Uint8Array>;

  beforeAll(() => {
    llq("convert", TINY_LLAMA, "-o", reference, "--type", "f32");
    weights = tensorsOf(reference);
  });

  const cases: [string, (tensors: (names: string[]) => Uint8Array[]) => Llama2cParts][] = [
    [
      "version 0",
      (tensors) => {
        const angles = new Uint8Array(256 * 16 * 4);
        const rest = [...tensors(order(0)), angles, angles, ...tensors(["output.weight"])];
        return { numbers: numbers.map((value, i) => (i === 5 ? -value : value)), tensors: rest };
      },
    ],
    ["version 1", (tensors) => ({ version: 1, numbers, tensors: tensors([...order(1), "output.weight"]) })],
  ];

  test.each(cases)("%s converts to the same tensors and has the same perplexity", (name, parts) => {
    const model = join(folder, name);
    mkdirSync(model);
    copyFileSync(join(TINY_LLAMA, "tokenizer.model"), join(model, "tokenizer.model"));
    const bin = join(model, "model.bin");
    writeFileSync(bin, buildLlama2c(parts((names) => names.map((each) => weights.get(each)!))));
    const output = join(folder, `${name}.gguf`);
    llq("convert", bin, "-o", output, "--type", "f32");
    const converted = tensorsOf(output);
    expect([...converted.keys()].sort()).toEqual([...weights.keys()].sort());
    for (const [each, bytes] of converted) expect(Buffer.compare(bytes, weights.get(each)!), each).toBe(0);
    const perplexity = (path: string) =>
      JSON.parse(llq("eval-ppl", path, text, "--context", "128", "--chunks", "2", "--json")).perplexity;
    expect(perplexity(bin)).toBe(perplexity(TINY_LLAMA));
    expect(perplexity(output)).toBe(perplexity(TINY_LLAMA));
  });

  test("tokenizer.bin, in both spellings of bytes, is the vocabulary of the SentencePiece model", () => {
    const model = withFile(join(TINY_LLAMA, "tokenizer.model"), readSentencePiece);
    const expected = openModel(TINY_LLAMA).vocab;
    for (const asBytes of [false, true]) {
      const tokens = model.pieces.map(({ text: piece, score }, id): [string, number] => {
        if (id === 1 || id === 2) return [`\n${piece}\n`, score];
        if (asBytes && id >= 3 && id < 259) return [String.fromCodePoint(id - 3), score];
        return [piece.replaceAll("▁", " "), score];
      });
      const vocab = vocabFromLlama2c(new BufferSource("tokenizer.bin", buildTokenizerBin(tokens)), 2048);
      const { kind, tokens: texts, types, scores, special, addBos, addSpacePrefix } = vocab;
      expect({ kind, texts, types, special, addBos, addSpacePrefix }).toEqual({
        kind: expected.kind,
        texts: expected.tokens,
        types: expected.types,
        special: expected.special,
        addBos: expected.addBos,
        addSpacePrefix: expected.addSpacePrefix,
      });
      expect(scores).toEqual(expected.scores);
    }
  });
});

describe("refusals", () => {
  // dim 4, hidden 6, 1 layer, 2 heads of 2, 1 key/value head, 3 tokens, context 5: 4*3 + 4+16+8+8+16 + 4+24*3 + 4 = 144
  const numbers = [4, 6, 1, 2, 1, 3, 5];
  const floats = (count: number) => [new Uint8Array(count * 4)];
  const v0 = (count = 154, change: readonly number[] = numbers): Llama2cParts => ({
    numbers: change,
    tensors: floats(count),
  });
  const v1 = (parts: Partial<Llama2cParts> = {}): Llama2cParts => ({
    version: 1,
    numbers,
    shared: 1,
    tensors: floats(144),
    ...parts,
  });
  const changed = (at: number, value: number) => numbers.map((each, i) => (i === at ? value : each));

  test("the valid files that the others are made from", () => {
    for (const parts of [v0(), v1(), v0(166, changed(5, -3)), v1({ shared: 0, tensors: floats(156) })]) {
      expect(refusal(() => readLlama2c(new BufferSource("x.bin", buildLlama2c(parts))))).toBe("accepted");
    }
  });

  // biome-ignore format: rows
  const bad: [string, Llama2cParts, string][] = [
    ["cut by a float",         v0(153),                         "bad-input: x.bin: a llama2.c file with these numbers has 644 bytes, this one has 640"],
    ["a float too many",       v0(155),                         "bad-input: x.bin: a llama2.c file with these numbers has 644 bytes, this one has 648"],
    ["version 1 cut",          v1({ tensors: floats(143) }),    "bad-input: x.bin: a llama2.c file with these numbers has 832 bytes, this one has 828"],
    ["an output nobody wants", v1({ tensors: floats(156) }),    "bad-input: x.bin: a llama2.c file with these numbers has 832 bytes, this one has 880"],
    ["no width",               v1({ numbers: changed(0, 0) }),  "bad-input: x.bin: byte 8: the numbers 0, 6, 1, 2, 1, 3, 5 make no model"],
    ["a negative width",       v1({ numbers: changed(1, -6) }), "bad-input: x.bin: byte 8: the numbers 4, -6, 1, 2, 1, 3, 5 make no model"],
    ["no layers",              v1({ numbers: changed(2, 0) }),  "bad-input: x.bin: byte 8: the numbers 4, 6, 0, 2, 1, 3, 5 make no model"],
    ["layers beyond memory",   v1({ numbers: changed(2, 2 ** 31 - 1) }), "bad-input: x.bin: byte 8: the numbers 4, 6, 2147483647, 2, 1, 3, 5 make no model"],
    ["heads that do not divide", v1({ numbers: changed(3, 3) }), "bad-input: x.bin: byte 8: the numbers 4, 6, 1, 3, 1, 3, 5 make no model"],
    ["heads of one column",    v1({ numbers: changed(3, 4) }),  "bad-input: x.bin: byte 8: the numbers 4, 6, 1, 4, 1, 3, 5 make no model"],
    ["key/value heads that do not divide", v1({ numbers: [12, 6, 1, 6, 4, 3, 5] }), "bad-input: x.bin: byte 8: the numbers 12, 6, 1, 6, 4, 3, 5 make no model"],
    ["more kv heads than heads", v1({ numbers: changed(4, 4) }), "bad-input: x.bin: byte 8: the numbers 4, 6, 1, 2, 4, 3, 5 make no model"],
    ["a negative vocabulary in version 1", v1({ numbers: changed(5, -3) }), "bad-input: x.bin: byte 8: the numbers 4, 6, 1, 2, 1, -3, 5 make no model"],
    ["no context",             v1({ numbers: changed(6, 0) }),  "bad-input: x.bin: byte 8: the numbers 4, 6, 1, 2, 1, 3, 0 make no model"],
    ["sizes beyond 2^53",      v1({ numbers: [2 ** 23, 2 ** 23, 4096, 2, 1, 2 ** 23, 2 ** 23] }), "bad-input: x.bin: a llama2.c file with these numbers has"],
    ["a shared flag of 2",     v1({ shared: 2 }),               "bad-input: x.bin: byte 36: the flag for a shared output is 2"],
    ["padding",                v1({ padding: 1 }),              "bad-input: x.bin: byte 256: the header does not end in zeros"],
    ["version 2",              v1({ version: 2 }),              "unsupported: x.bin: llama2.c version 2 (int8 in groups) is not supported, only 0 and 1 are"],
    ["version 0 with a magic", v1({ version: 0 }),              "unsupported: x.bin: llama2.c version 0 is not supported, only 0 and 1 are"],
    ["a negative version",     v1({ version: -1 }),             "unsupported: x.bin: llama2.c version -1 is not supported, only 0 and 1 are"],
  ];
  test.each(bad)("%s", (_, parts, expected) => {
    expect(refusal(() => readLlama2c(new BufferSource("x.bin", buildLlama2c(parts))))).toContain(expected);
  });

  test("a header and nothing else", () => {
    const bytes = buildLlama2c(v1()).subarray(0, 20);
    expect(refusal(() => readLlama2c(new BufferSource("x.bin", bytes)))).toContain(
      "bad-input: x.bin: byte 20",
    );
  });

  // biome-ignore format: rows
  const tokenizers: [string, Uint8Array, string][] = [
    ["empty",                new Uint8Array(0),                                              "bad-input: t.bin"],
    ["too few tokens",       buildTokenizerBin([["<unk>", 0], ["a", 0]]),                    "bad-input: t.bin: has 2 tokens, the model has 3"],
    ["too many tokens",      buildTokenizerBin([["<unk>", 0], ["a", 0], ["b", 0], ["c", 0]]), "bad-input: t.bin: has more than the model's 3 tokens"],
    ["a token beyond the end", buildTokenizerBin([["a", 0, 9]]),                             "bad-input: t.bin: byte 12: 9 bytes expected, 1 left"],
    ["a token longer than the longest", buildTokenizerBin([["abc", 0]], 2),                  "bad-input: t.bin: byte 4: token 0 has 3 bytes, the longest should have 2"],
    ["a longest of 4 GB",    buildTokenizerBin([["abc", 0]], 2 ** 32 - 1),                   "bad-input: t.bin: byte 0: tokens of 4294967295 bytes; at most 65536 are allowed"],
    ["not UTF-8",            buildTokenizerBin([[Uint8Array.of(0xff), 0]]),                  "bad-input: t.bin: byte 12: the text of token 0 is not valid UTF-8"],
    ["cut in a score",       buildTokenizerBin([["a", 0]]).subarray(0, 6),                   "bad-input: t.bin: byte 4"],
  ];
  test.each(tokenizers)("a tokenizer.bin: %s", (_, bytes, expected) => {
    expect(refusal(() => vocabFromLlama2c(new BufferSource("t.bin", bytes), 3))).toContain(expected);
  });

  test("no tokenizer beside the model; nearly a version 0", () => {
    const alone = join(folder, "alone.bin");
    writeFileSync(alone, buildLlama2c(v1()));
    expect(refusal(() => openModel(alone))).toBe(
      `bad-input: ${alone}: no tokenizer beside it; looked for tokenizer.model, tok3.model, tokenizer.bin, tok3.bin`,
    );
    const { status, stderr } = spawnSync(process.execPath, [cli, "inspect", alone], { encoding: "utf8" });
    expect([status, stderr]).toEqual([3, expect.stringContaining("no tokenizer beside it")]);
    writeFileSync(alone, buildLlama2c(v1({ version: 2 })));
    expect(spawnSync(process.execPath, [cli, "inspect", alone]).status).toBe(4);
    writeFileSync(alone, buildLlama2c(v0(154, changed(3, 3))));
    expect(refusal(() => openModel(alone))).toBe(
      `bad-input: ${alone}: neither GGUF, safetensors, torch.save, Flax nor llama2.c`,
    );
  });

  test("damage never gets through as anything but a refusal", () => {
    for (const target of TARGETS.filter(({ name }) => name.startsWith("llama2c"))) {
      const { accepted, refused } = attack(target, 3000, 1);
      expect(accepted).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(0);
    }
  });
});

test.each([
  [4096, true],
  [4097, false],
])("a file without magic of %i layers may be llama2.c: %s", (layers, expected) => {
  const header = Int32Array.of(2, 1, layers, 1, 1, 1, 1);
  expect(isLlama2c(new BufferSource("x", new Uint8Array(header.buffer)))).toBe(expected);
});
