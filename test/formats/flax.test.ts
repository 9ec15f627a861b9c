import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode, ExtData, encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import type { Container, TensorSource } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { isFlax, readFlax } from "../../formats/flax/flax.js";
import { openContainer } from "../../formats/open.js";
import { fromFlax } from "../../src/arch/checkpoint/flax.js";
import { refusal } from "../support/build/build.js";
import { buildFlax, flaxArray, flaxChunked } from "../support/build/build-flax.js";
import { attack } from "../support/damage.js";
import { scratchFolder } from "../support/scratch.js";
import { TARGETS } from "../targets.js";

const folder = scratchFolder();
const read = (bytes: Uint8Array) => readFlax(new BufferSource("x.msgpack", bytes));
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

function bytesOf(
  file: Uint8Array,
  { offset, byteLength, runs = [{ offset, byteLength }] }: TensorSource,
): Buffer {
  return Buffer.concat(runs.map((run) => file.subarray(run.offset, run.offset + run.byteLength)));
}

describe("a file that Flax wrote", () => {
  const path = "test/golden/containers/flax.msgpack";
  const golden: Record<string, [string, number[], string]> = JSON.parse(
    readFileSync("test/golden/containers/flax.json", "utf8"),
  );
  const file = readFileSync(path);
  const { tensors, opaque } = openContainer(path);

  test("has the arrays that Flax reads back, those in chunks too", () => {
    const types: Record<string, string> = {
      F64: "float64",
      F32: "float32",
      F16: "float16",
      BF16: "bfloat16",
    };
    const found = [...tensors].map(([name, source]) => {
      return [name, [types[source.dtype], source.shape, bytesOf(file, source).toString("hex")]];
    });
    const { ids, ...weights } = golden;
    expect(Object.fromEntries(found)).toEqual(weights);
    expect(ids![0]).toBe("int32");
    const pieces = [...tensors].map(([name, { runs }]) => [name, runs?.length]).filter(([, count]) => count);
    expect(pieces).toEqual([["model/layers/2/mlp/up_proj/kernel", 4]]);
    expect([...opaque]).toEqual([
      ["ids", "int32"],
      ["step", "number"],
      ["rate", "a scalar"],
    ]);
  });

  test("stands in the order of the file", () => {
    const offsets = [...tensors.values()].map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  });
});

test("has PyTorch's names, with kernels transposed", () => {
  const tree = {
    params: {
      model: {
        embed: { embedding: flaxArray([2, 3], "float32", floats(1, 2, 3, 4, 5, 6)) },
        up: {
          kernel: flaxArray([2, 3], "float32", floats(1, 2, 3, 4, 5, 6)),
          bias: flaxArray([1], "float32", floats(1)),
        },
        norm: { scale: flaxArray([1], "float32", floats(1)) },
      },
    },
  };
  const { tensors } = fromFlax(read(buildFlax(tree)));
  const layout = [...tensors].map(([name, { shape, strides }]) => [name, shape, strides]);
  expect(layout).toEqual([
    ["model.embed.weight", [2, 3], undefined],
    ["model.up.weight", [3, 2], [1, 3]],
    ["model.up.bias", [1], undefined],
    ["model.norm.weight", [1], undefined],
  ]);
  const odd = (leaf: object) => refusal(() => fromFlax(read(buildFlax({ conv: leaf }))));
  expect(odd({ kernel: flaxArray([1, 1, 1], "float32", floats(1)) })).toBe(
    "unsupported: x.msgpack: conv/kernel of shape 1 x 1 x 1 is no parameter of a decoder",
  );
  expect(odd({ mean: flaxArray([1], "float32", floats(1)) })).toContain("unsupported: x.msgpack: conv/mean");
});

test("finds arrays that the library alone would find, in any file of both", () => {
  const tree = {
    a: { b: flaxArray([3], "float32", floats(1, 2, 3)) },
    c: flaxChunked([2, 2], "float32", floats(1, 2, 3, 4), 8),
  };
  const bytes = buildFlax(tree);
  const whole = decode(bytes) as { a: { b: ExtData } };
  const [, , data] = decode(whole.a.b.data as Uint8Array) as [unknown, unknown, Uint8Array];
  const { tensors } = read(bytes);
  expect(bytesOf(bytes, tensors.get("a/b")!)).toEqual(Buffer.from(data));
  expect(bytesOf(bytes, tensors.get("c")!)).toEqual(Buffer.from(floats(1, 2, 3, 4)));
});

describe("refusals", () => {
  const good = flaxArray([2], "float32", floats(1, 2));
  const two = (first: unknown, second: unknown) =>
    Buffer.concat([Uint8Array.of(0x82), encode("a"), encode(first), encode("a"), encode(second)]);
  const chunked = (change: object) =>
    buildFlax({ a: { ...flaxChunked([4], "float32", floats(1, 2, 3, 4), 8), ...change } });
  const nested = (depth: number): unknown => (depth === 0 ? good : { a: nested(depth - 1) });
  const huge = (first: number, bytes: number) => {
    const head = Buffer.alloc(bytes + 1, 0xff);
    head[0] = first;
    return Buffer.concat([Uint8Array.of(0x81), encode("a"), head]);
  };

  // biome-ignore format: rows
  const bad: [string, Uint8Array, string][] = [
    ["nothing",                     new Uint8Array(0),                                        "byte 0: 1 more values cannot fit the 0 bytes left"],
    ["a list",                      encode([good]),                                           "not a Flax checkpoint: no map of names"],
    ["a number",                    encode(7),                                                "not a Flax checkpoint: no map of names"],
    ["an array alone",              encode(good),                                             "not a Flax checkpoint: no map of names"],
    ["bytes after the end",         Buffer.concat([buildFlax({ a: good }), Uint8Array.of(0)]), "1 bytes after the end of a value"],
    ["a name twice",                two(good, good),                                          "a name appears twice in one map"],
    ["a name twice, once a map",    two({ b: good }, 1),                                      "a name appears twice in one map"],
    ["__proto__",                   Buffer.concat([Uint8Array.of(0x81), encode("__proto__"), encode(good)]), "not valid MessagePack: The key __proto__ is not allowed"],
    ["a map for a key",             Buffer.concat([Uint8Array.of(0x81), encode({}), encode(good)]), "not valid MessagePack: The type of key must be string or number"],
    ["an empty name",               buildFlax({ "": good }),                                  "a name is empty"],
    ["a slash in a name",           buildFlax({ "a/b": good }),                               "a name has a slash in it"],
    ["a name with a control character", buildFlax({ "a\n": good }),                           "a name has characters that cannot be printed"],
    ["maps nested too deep",        buildFlax(nested(80)),                                    "maps nested deeper than 64"],
    ["a list of arrays",            buildFlax({ a: [good] }),                                 "a is a list, where Flax has a map"],
    ["a shape that is none",        buildFlax({ a: flaxArray("x", "float32", floats(1)) }),   "a is no [shape, type, bytes]"],
    ["a negative length",           buildFlax({ a: flaxArray([-2], "float32", floats(1)) }),  "a is no [shape, type, bytes]"],
    ["a length that is no whole number", buildFlax({ a: flaxArray([0.5], "float32", floats(1)) }), "a is no [shape, type, bytes]"],
    ["more than 64 dimensions",     buildFlax({ a: flaxArray(Array(65).fill(1), "float32", floats(1)) }), "a is no [shape, type, bytes]"],
    ["a type that is no text",      buildFlax({ a: flaxArray([1], 7, floats(1)) }),           "a is no [shape, type, bytes]"],
    ["bytes that are text",         buildFlax({ a: flaxArray([1], "float32", "1234") }),      "a is no [shape, type, bytes]"],
    ["bytes that are an extension", buildFlax({ a: flaxArray([1], "float32", new ExtData(1, floats(1))) }), "a is no [shape, type, bytes]"],
    ["no bytes",                    buildFlax({ a: new ExtData(1, encode([[1], "float32"])) }), "a is no [shape, type, bytes]"],
    ["an extension of nothing",     buildFlax({ a: new ExtData(1, new Uint8Array(0)) }),      "1 more values cannot fit the 0 bytes left"],
    ["bytes behind an array's",     buildFlax({ a: new ExtData(1, Buffer.concat([encode([[1], "float32", floats(1)]), Uint8Array.of(0)])) }), "1 bytes after the end of a value"],
    ["too few bytes",               buildFlax({ a: flaxArray([3], "float32", floats(1, 2)) }), "tensor a: F32 of shape [3] takes 12 bytes, but there are 8"],
    ["too many bytes",              buildFlax({ a: flaxArray([1], "float16", floats(1)) }),   "tensor a: F16 of shape [1] takes 2 bytes, but there are 4"],
    ["a shape beyond 2^53",         buildFlax({ a: flaxArray([2 ** 30, 2 ** 30], "float32", floats(1)) }), "tensor a: a tensor of 1073741824x1073741824 is too large"],
    ["a shape of 2^53",             buildFlax({ a: flaxArray([0, 2 ** 63], "float32", floats()) }), "a is no [shape, type, bytes]"],
    ["chunks and no shape",         chunked({ shape: undefined }),                            "a is chunked and has no chunks or no shape"],
    ["chunks that are a list",      chunked({ chunks: [good] }),                              "a is chunked and has no chunks or no shape"],
    ["chunks with a gap",           chunked({ chunks: { 0: good, 2: good } }),                "the chunks or the shape of a are not numbered"],
    ["chunks of another name",      chunked({ chunks: { x: good } }),                         "the chunks or the shape of a are not numbered"],
    ["no chunks",                   chunked({ chunks: {} }),                                  "a has no chunks"],
    ["a chunk that is no array",    chunked({ chunks: { 0: 1, 1: good } }),                   "chunk 0 of a is no flat array"],
    ["a chunk of two dimensions",   chunked({ chunks: { 0: flaxArray([1, 2], "float32", floats(1, 2)) } }), "chunk 0 of a is no flat array"],
    ["a chunk that lies",           chunked({ chunks: { 0: flaxArray([3], "float32", floats(1, 2)), 1: good } }), "tensor a, chunk 0: F32 of shape [3] takes 12 bytes, but there are 8"],
    ["chunks of two types",         chunked({ chunks: { 0: good, 1: flaxArray([4], "float16", floats(1, 2)) } }), "the chunks of a differ in type"],
    ["a chunk too few",             chunked({ chunks: { 0: good } }),                         "tensor a: F32 of shape [4] takes 16 bytes, but there are 8"],
    ["a shape of text",             chunked({ shape: { 0: "4" } }),                           "a is chunked and has a shape that is none"],
    ["the byte that begins nothing", Uint8Array.of(0x81, 0xa1, 0x61, 0xc1),                   "byte 3: a byte that begins no value (0xc1)"],
    ["4 GB of text",                huge(0xdb, 4),                                            "byte 3: a value of 4294967295 bytes, but 0 are left"],
    ["4 GB of bytes",               huge(0xc6, 4),                                            "byte 3: a value of 4294967295 bytes, but 0 are left"],
    ["4 G values in a list",        huge(0xdd, 4),                                            "byte 3: more than 131072 values"],
    ["4 G names in a map",          huge(0xdf, 4),                                            "byte 3: more than 131072 values"],
    ["an extension beyond the end", Buffer.concat([huge(0xc9, 4), Uint8Array.of(1)]),         "byte 3: a value of 4294967295 bytes, but 0 are left"],
    ["more values than a checkpoint has", encode({ a: Array(2 ** 17).fill(0) }),              "more than 131072 values"],
    ["more arrays than a checkpoint has", encode({ a: Object.fromEntries(Array.from({ length: 2 ** 15 + 1 }, (_, i) => [i, 0])) }), "more than 32768 tensors"],
    ["cut within a name",           buildFlax({ model: good }).subarray(0, 4),                "bytes, but 2 are left"],
    ["cut within the data",         buildFlax({ a: good }).subarray(0, -1),                   "bytes, but"],
  ];
  test.each(bad)("%s", (_, bytes, expected) => {
    const message = refusal(() => read(bytes));
    expect(message).toContain(expected);
    expect(message).toMatch(/^bad-input: x\.msgpack: /);
  });

  test("maps nested as deep as they may be, and one deeper", () => {
    expect(refusal(() => read(buildFlax(nested(65) as object)))).toBe("accepted");
    expect(refusal(() => read(buildFlax(nested(66) as object)))).toContain("maps nested deeper than 64");
  });

  // MessagePack: fixmap 80-8f, map 16 de; fixstr a0-bf, str 8 d9; an empty map or name is no checkpoint's.
  test.each([
    [0x81, 0xa1, true],
    [0x8f, 0xbf, true],
    [0x81, 0xd9, true],
    [0xde, 0x00, true],
    [0x80, 0xa1, false],
    [0x90, 0xa1, false],
    [0xdf, 0xa1, false],
    [0x81, 0xa0, false],
    [0x81, 0xc0, false],
    [0x81, 0xda, false],
    [0x81, 0x00, false],
  ])("first bytes %i and %i: %s", (first, second, expected) => {
    expect(isFlax(new BufferSource("x", Uint8Array.of(first, second)))).toBe(expected);
  });

  test("the file by its name, and what only looks like it", () => {
    const path = join(folder, "flax_model.msgpack");
    writeFileSync(path, buildFlax({ a: good }));
    expect(openContainer(path).format satisfies Container["format"]).toBe("flax");
    expect([...openContainer(path).tensors.keys()]).toEqual(["a"]);
    expect(refusal(() => openContainer(folder))).toBe("accepted");
    writeFileSync(path, buildFlax({}));
    expect(refusal(() => openContainer(path))).toContain("nor llama2.c");
  });

  test("shards that the index does not describe", () => {
    const shards = join(folder, "shards");
    mkdirSync(shards);
    const [one, two] = ["flax_model-00001-of-00002.msgpack", "flax_model-00002-of-00002.msgpack"];
    writeFileSync(join(shards, one!), buildFlax({ a: { b: good } }));
    writeFileSync(join(shards, two!), buildFlax({ c: good }));
    const open = (weight_map: object) => {
      writeFileSync(join(shards, "flax_model.msgpack.index.json"), JSON.stringify({ weight_map }));
      return refusal(() => openContainer(shards));
    };
    expect(open({ "a/b": one, c: two })).toBe("accepted");
    expect([...openContainer(shards).tensors].map(([name, { file }]) => [name, file])).toEqual([
      ["a/b", 0],
      ["c", 1],
    ]);
    expect(open({ "a/b": one, d: two })).toContain("tensor c is in flax_model-00002-of-00002.msgpack, but");
    expect(open({ "a/b": one, c: two, d: two })).toContain("tensor d is not in");
    expect(open({ "a/b": "../x.msgpack", c: two })).toContain("is not the name of a file beside it");
  });

  test("more names than a model has, without taking memory for them", () => {
    const names = Buffer.concat(Array.from({ length: 70_000 }, (_, i) => encode("x".repeat(250) + i)));
    const before = process.memoryUsage().rss;
    const head = Buffer.from([0xde, 0xff, 0xff]);
    expect(() => read(Buffer.concat([head, names, names]))).toThrow(LlqError);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
  });

  test("damage never gets through as anything but a refusal", () => {
    const target = TARGETS.find(({ name }) => name === "flax")!;
    const { accepted, refused } = attack(target, 5000, 1);
    expect(Math.min(accepted, refused)).toBeGreaterThan(0);
  });
});
