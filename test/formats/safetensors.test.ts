import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { openContainer } from "../../formats/open.js";
import { readSafetensors } from "../../formats/safetensors/safetensors.js";
import {
  buildGguf,
  buildSafetensors,
  everyEntryData,
  everyEntryHeader,
  refusal,
} from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { TARGETS } from "../targets.js";

const read = (bytes: Uint8Array) => readSafetensors(new BufferSource("x.safetensors", bytes));
const root = mkdtempSync(join(tmpdir(), "llq-safetensors-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("reading", () => {
  const bytes = buildSafetensors(everyEntryHeader, everyEntryData);
  const container = read(bytes);

  test("tensors keep the header's order, offsets count from the start of the file", () => {
    const dataStart = bytes.length - everyEntryData;
    const tensors = [...container.tensors].map(([name, { dtype, shape, byteLength, offset }]) => [
      name,
      dtype,
      shape,
      byteLength,
      offset - dataStart,
    ]);
    expect(tensors).toEqual([
      ["b.f16", "F16", [2, 3], 12, 24],
      ["scalar", "F32", [], 4, 0],
      ["w.bf16", "BF16", [5, 2], 20, 4],
      ["nothing", "F32", [0, 7], 0, 4],
    ]);
  });

  test("tensors of types that are not weights are listed apart", () => {
    expect([...container.opaque]).toEqual([
      ["mask", "BOOL"],
      ["ids", "I64"],
      ["sub.byte", "F4"],
    ]);
  });

  test("a header of some megabytes, which is read piece by piece, says what JSON.parse finds in it", () => {
    const entry = (i: number) => {
      const name = JSON.stringify(`${i}${["x", "é", "🙂", '"', "ab\\"][i % 5]!.repeat((i * 7919) % 97)}`);
      const gap = " ".repeat(i === 3000 ? 1_500_000 : (i * 31) % 11);
      return `${gap}${name}:${gap}{"dtype":"U8","shape":[${(i * 13) % 100_000}, 0],"data_offsets":[0,${gap}0]}`;
    };
    const long = `"long${"y".repeat(60_000)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`;
    const header = `{${Array.from({ length: 30_000 }, (_, i) => entry(i))},${long}}`;
    const expected = Object.entries<{ shape: number[] }>(JSON.parse(header));
    const found = [...read(buildSafetensors(header, 0)).raw!].map(([name, { shape }]) => [name, shape]);
    expect(header.length).toBeGreaterThan(3_000_000);
    // Whole numbers come first in an object.
    const byName = (list: readonly (readonly unknown[])[]) => list.map((each) => JSON.stringify(each)).sort();
    expect(byName(found)).toEqual(byName(expected.map(([name, { shape }]) => [name, shape])));
  });

  test("__metadata__ becomes metadata", () => {
    expect([...container.metadata]).toEqual([
      ["format", { type: "string", value: "pt" }],
      ["note", { type: "string", value: "é\n" }],
    ]);
  });

  test("a file by another program", () => {
    const { tensors, metadata } = openContainer("samples/tiny-llama/model.safetensors");
    const weights = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength / 2, 0);
    expect([tensors.size, weights]).toEqual([39, 4_065_536]);
    expect(tensors.get("model.layers.3.mlp.down_proj.weight")).toMatchObject({
      dtype: "BF16",
      shape: [256, 768],
    });
    expect(metadata.get("format")?.value).toBe("pt");
  });

  test("a file by safetensors for Python is read as it reads it", () => {
    const golden: Record<string, [dtype: string, shape: number[], hex: string]> = JSON.parse(
      readFileSync("test/golden/containers/python.json", "utf8"),
    );
    const file = readFileSync("test/golden/containers/python.safetensors");
    const { tensors, opaque, metadata } = read(file);
    expect([...tensors.keys(), ...opaque.keys()].sort()).toEqual(Object.keys(golden));
    for (const [name, { dtype, shape, offset, byteLength }] of tensors) {
      const hex = file.toString("hex", offset, offset + byteLength);
      expect([dtype.replace("F", "float"), shape, hex]).toEqual(golden[name]);
    }
    expect([...opaque].sort()).toEqual([
      ["mask", "BOOL"],
      ["position_ids", "I64"],
    ]);
    expect(metadata.get("note")?.value).toBe("zażółć");
  });
});

const f32 = '"dtype":"F32","shape":[1]';

/** One row per rule: what is wrong, the header, bytes of data, and what is said of it. */
// biome-ignore format: a row per rule
const ATTACKS: [rule: string, header: unknown, data: number, message: string][] = [
  ["another format", "hello, world", 8, "byte 8: the header does not begin with {"],
  ["a space before the header", " {}", 0, "byte 8: the header does not begin with {"],
  ["an array", "[]", 0, "byte 8: the header does not begin with {"],
  ["no header", "", 0, "byte 8: the header does not begin with {"],
  ["a header that is not closed", "{", 0, "byte 9: expected a string"],
  ["a header that is not UTF-8", Buffer.from('{"\xff":{}}', "latin1"), 0, "the header is not valid UTF-8"],
  ["text after the header", "{}x", 0, "byte 10: text after the header's closing }"],
  ["a second header", "{}{}", 0, "byte 10: text after the header's closing }"],
  ["a comma too many", `{"a":{${f32},"data_offsets":[0,4]},}`, 4, "byte 62: expected a string"],
  ["a comma too few", `{"a":{${f32} "data_offsets":[0,4]}}`, 4, "byte 40: expected }"],
  ["no colon", `{"a" {}}`, 4, "byte 13: expected :"],
  ["a key without quotes", `{a:{}}`, 0, "byte 9: expected a string"],
  ["a line break in a name", `{"a\nb":{${f32},"data_offsets":[0,4]}}`, 4, "byte 9: not a valid JSON string"],
  ["an escaped line break in a name", `{"a\\nb":{${f32},"data_offsets":[0,4]}}`, 4, 'byte 15: a key of the header has characters that cannot be printed: "a\\nb"'],
  ["half a surrogate pair in a name", `{"a\\ud800":{${f32},"data_offsets":[0,4]}}`, 4, 'byte 18: a key of the header has characters that cannot be printed: "a\\ud800"'],
  ["an unknown escape", `{"a\\x":{${f32},"data_offsets":[0,4]}}`, 4, "byte 9: not a valid JSON string"],
  ["an empty name", `{"":{${f32},"data_offsets":[0,4]}}`, 4, "byte 11: a key of the header is empty"],
  ["a tensor twice", `{"a":{${f32},"data_offsets":[0,4]},"a":{${f32},"data_offsets":[4,8]}}`, 8, "byte 65: a appears twice in the header"],
  ["a tensor twice, spelled differently", `{"a":{${f32},"data_offsets":[0,4]},"\\u0061":{${f32},"data_offsets":[4,8]}}`, 8, "byte 70: a appears twice in the header"],
  ["a key twice", `{"a":{${f32},"dtype":"F16","data_offsets":[0,4]}}`, 4, "byte 47: dtype appears twice in tensor a"],
  ["metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, "byte 41: __metadata__ appears twice in the header"],
  ["a metadata key twice", `{"__metadata__":{"k":"1","k":"2"}}`, 0, "byte 36: k appears twice in __metadata__"],
  ["a metadata value that is not text", `{"__metadata__":{"k":1}}`, 0, "byte 29: expected a string"],
  ["metadata that is not an object", `{"__metadata__":null}`, 0, "byte 24: expected {"],
  ["a tensor that is not an object", `{"a":[]}`, 0, "byte 13: expected {"],
  ["no dtype", `{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4, "byte 47: tensor a lacks dtype, shape or data_offsets"],
  ["no shape", `{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4, "byte 49: tensor a lacks dtype, shape or data_offsets"],
  ["no data_offsets", `{"a":{${f32}}}`, 4, "byte 40: tensor a lacks dtype, shape or data_offsets"],
  ["one offset", `{"a":{${f32},"data_offsets":[0]}}`, 4, "byte 59: tensor a has 1 data_offsets, expected 2"],
  ["three offsets", `{"a":{${f32},"data_offsets":[0,4,8]}}`, 4, "byte 63: tensor a has 3 data_offsets, expected 2"],
  ["an unknown key", `{"a":{${f32},"data_offsets":[0,4],"strides":[1]}}`, 4, "byte 71: tensor a has unknown key strides"],
  ["a dtype that is not text", `{"a":{"dtype":0,"shape":[1],"data_offsets":[0,4]}}`, 4, "byte 22: expected a string"],
  ["a shape that is not an array", `{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}`, 4, "byte 36: expected ["],
  ["arrays in a shape", `{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}`, 4, "byte 37: expected a whole number"],
  ["a negative dimension", `{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4, "byte 37: expected a whole number"],
  ["a fraction", `{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 4, "byte 37: expected a whole number"],
  ["an exponent", `{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}`, 4, "byte 37: expected a whole number"],
  ["a leading zero", `{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}`, 4, "byte 37: expected a whole number"],
  ["a dimension of 2^53", `{"a":{"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,4]}}`, 4, "byte 37: 9007199254740992 is too large for a size or an offset"],
  ["a size that overflows", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, 4, "tensor a: a tensor of 4294967296x4294967296 is too large"],
  ["a size that overflows to the right one", `{"a":{"dtype":"F32","shape":[4294967297,4294967296],"data_offsets":[0,0]}}`, 0, "tensor a: a tensor of 4294967297x4294967296 is too large"],
  ["65 dimensions", { a: { dtype: "F32", shape: Array(65).fill(1), data_offsets: [0, 4] } }, 4, "byte 165: more than 64 numbers in an array"],
  ["more tensors than any model has", `{${Array.from({ length: 262145 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`)}}`, 0, "byte 14831116: more than 262144 tensors"],
  ["a range shorter than the shape", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, "tensor a: F32 of shape [2] takes 8 bytes, but its data_offsets span 4"],
  ["a range that runs backwards", `{"a":{${f32},"data_offsets":[4,0]}}`, 4, "tensor a: F32 of shape [1] takes 4 bytes, but its data_offsets span -4"],
  ["half a byte", `{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}`, 2, "tensor a: F4 of shape [3] takes 1.5 bytes, but its data_offsets span 2"],
  ["a hole at the beginning", `{"a":{${f32},"data_offsets":[4,8]}}`, 8, "tensor a begins at data byte 4, expected 0, leaving a hole"],
  ["a hole", `{"b":{${f32},"data_offsets":[8,12]},"a":{${f32},"data_offsets":[0,4]}}`, 12, "tensor b begins at data byte 8, expected 4, leaving a hole"],
  ["tensors that overlap", `{"a":{${f32},"data_offsets":[0,4]},"b":{${f32},"data_offsets":[2,6]}}`, 6, "tensor b begins at data byte 2, expected 4, overlapping another tensor"],
  ["two tensors in one place", `{"a":{${f32},"data_offsets":[0,4]},"b":{${f32},"data_offsets":[0,4]}}`, 4, "tensor b begins at data byte 0, expected 4, overlapping another tensor"],
  ["an empty tensor inside another", `{"a":{${f32},"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}`, 4, "tensor b begins at data byte 2, expected 4, overlapping another tensor"],
  ["data that ends a byte early", `{"a":{${f32},"data_offsets":[0,4]}}`, 3, "the tensors take 4 bytes, but the file has 3 for them"],
  ["data after the last tensor", `{"a":{${f32},"data_offsets":[0,4]}}`, 5, "the tensors take 4 bytes, but the file has 5 for them"],
  ["data and no tensor", "{}", 1, "the tensors take 0 bytes, but the file has 1 for them"],
];

describe("refusals", () => {
  test.each(ATTACKS)("%s", (_, header, data, message) => {
    expect(refusal(() => read(buildSafetensors(header, data)))).toBe(`bad-input: x.safetensors: ${message}`);
  });

  test.each([
    [0, "byte 8: the header does not begin with {"],
    [3, "byte 8: 3 bytes expected, 2 left"],
    [100_000_001, "byte 0: a header of 100000001 bytes; at most 100000000 are allowed"],
    [2n ** 64n - 1n, "byte 0: 18446744073709551615 is too large for the length of a header"],
  ])("a header length of %d before {}", (length, message) => {
    expect(refusal(() => read(buildSafetensors("{}", 0, length)))).toBe(
      `bad-input: x.safetensors: ${message}`,
    );
  });

  test.each(["F5", "f32", "Q4_0", "constructor"])("dtype %s", (dtype) => {
    const header = { a: { dtype, shape: [8], data_offsets: [0, 5] } };
    expect(refusal(() => read(buildSafetensors(header, 5)))).toBe(
      `unsupported: x.safetensors: tensor a has unknown type "${dtype}"`,
    );
  });

  test("every length shorter than the file", () => {
    const bytes = buildSafetensors(everyEntryHeader, everyEntryData);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(() => read(bytes.subarray(0, length)))).toMatch(/^bad-input: x.safetensors: /);
    }
  });

  test.each(TARGETS.filter(({ name }) => name === "safetensors"))(
    "20000 damaged files",
    (target) => {
      const { accepted, refused } = attack(target, 20_000, 1);
      expect(accepted).toBeGreaterThan(1000);
      expect(refused).toBeGreaterThan(1000);
    },
    120_000,
  );
});

const one = (name: string) =>
  buildSafetensors({ [name]: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }, 4);
const index = (map: unknown) => JSON.stringify({ metadata: { total_size: 8 }, weight_map: map });

/** A folder with these files. */
function folderOf(files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(root, "model-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** What opening it ends in, the folder's own path left out. */
function refusalOf(folder: string): string {
  return refusal(() => openContainer(folder))
    .replaceAll(`${folder}/`, "")
    .replace(folder, "folder");
}

describe("shards", () => {
  const INDEX = "model.safetensors.index.json";

  test("are one container, in the order of the index", () => {
    const folder = folderOf({
      [INDEX]: index({ b: "2.safetensors", a: "1.safetensors", mask: "2.safetensors" }),
      "1.safetensors": one("a"),
      "2.safetensors": buildSafetensors(
        '{"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}',
        5,
      ),
    });
    const { files, tensors, opaque } = openContainer(folder);
    expect(files).toEqual([join(folder, "2.safetensors"), join(folder, "1.safetensors")]);
    expect([...tensors].map(([name, { file }]) => [name, file])).toEqual([
      ["b", 0],
      ["a", 1],
    ]);
    expect([...opaque]).toEqual([["mask", "BOOL"]]);
  });

  test("may hold tensors that the index has in another of them", () => {
    const folder = folderOf({ [INDEX]: index({ a: "2", b: "1" }), 1: one("a"), 2: one("b") });
    expect([...openContainer(folder).tensors].map(([name, { file }]) => [name, file])).toEqual([
      ["b", 0],
      ["a", 1],
    ]);
  });

  test("may be symbolic links, as in the Hugging Face cache", () => {
    const folder = folderOf({
      "blobs/0123abcd": one("a"),
      [`snapshot/${INDEX}`]: index({ a: "1.safetensors" }),
    });
    symlinkSync("../blobs/0123abcd", join(folder, "snapshot/1.safetensors"));
    expect([...openContainer(join(folder, "snapshot")).tensors.keys()]).toEqual(["a"]);
  });

  test.each([
    ["../1.safetensors"],
    ["sub/1.safetensors"],
    ["sub\\1.safetensors"],
    ["/etc/passwd"],
    ["C:1.safetensors"],
    ["\\\\host\\share"],
    [".."],
    ["."],
    [""],
    ["1.safetensors\0"],
  ])("%j is no name for one", (name) => {
    const folder = folderOf({
      [INDEX]: index({ a: name }),
      "1.safetensors": one("a"),
      "sub/1.safetensors": one("a"),
    });
    expect(refusalOf(folder)).toBe(
      `bad-input: ${INDEX}: ${JSON.stringify(name)} is not the name of a file beside it`,
    );
  });

  test.each<[rule: string, files: Record<string, string | Uint8Array>, message: string]>([
    ["a missing shard", { [INDEX]: index({ a: "1" }) }, "1: no such file"],
    [
      "a tensor that its shard lacks",
      { [INDEX]: index({ a: "1", b: "1" }), 1: one("a") },
      `${INDEX}: tensor b is not in 1`,
    ],
    [
      "a tensor that the index lacks",
      { [INDEX]: index({ b: "2", a: "1" }), 1: one("a"), 2: one("c") },
      `${INDEX}: tensor c is in 2, but the index does not list it`,
    ],
    [
      "a tensor in two shards",
      { [INDEX]: index({ a: "1", b: "2" }), 1: one("a"), 2: one("a") },
      `${INDEX}: tensor a is in 2, but the index says 1`,
    ],
    ["an index that is not JSON", { [INDEX]: "{" }, expect.stringContaining(`${INDEX}: not valid JSON: `)],
    [
      "an index of many brackets",
      { [INDEX]: "[".repeat(1000) },
      `${INDEX}: not valid JSON: nested deeper than 100`,
    ],
    ["an index of nothing", { [INDEX]: index({}) }, `${INDEX}: weight_map lists no tensors`],
    ["an index of another form", { [INDEX]: "[]" }, `${INDEX}: weight_map is not an object of file names`],
    [
      "file names that are not text",
      { [INDEX]: index({ a: 1 }) },
      `${INDEX}: weight_map is not an object of file names`,
    ],
    [
      "a shard that is damaged",
      { [INDEX]: index({ a: "1" }), 1: one("a").subarray(1) },
      expect.stringMatching(/^bad-input: 1: byte 0: /),
    ],
  ])("%s", (_, files, message) => {
    expect(refusalOf(folderOf(files))).toEqual(
      typeof message === "string" ? `bad-input: ${message}` : message,
    );
  });
});

describe("openContainer", () => {
  test("knows a file by its bytes, not by its name", () => {
    const folder = folderOf({ "a.bin": one("a"), "b.safetensors": buildGguf({}).bytes });
    expect(openContainer(join(folder, "a.bin")).format).toBe("safetensors");
    expect(openContainer(join(folder, "b.safetensors")).format).toBe("gguf");
  });

  test("opens a folder's model.safetensors", () => {
    expect(openContainer("samples/tiny-llama").files).toEqual([
      join("samples/tiny-llama", "model.safetensors"),
    ]);
  });

  test.each<[what: string, files: Record<string, string | Uint8Array>, message: string]>([
    [
      "no model",
      { "config.json": "{}" },
      "bad-input: folder: no model here; looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json, flax_model.msgpack, flax_model.msgpack.index.json",
    ],
  ])("a folder with %s", (_, files, message) => {
    expect(refusalOf(folderOf(files))).toBe(message);
  });

  test.each([
    ["an empty file", "", "bad-input: x: neither GGUF, safetensors, torch.save, Flax nor llama2.c"],
    ["text", "hello, world", "bad-input: x: neither GGUF, safetensors, torch.save, Flax nor llama2.c"],
    ["a web page", "<!doctype html><html>", "bad-input: x: a web page"],
    [
      "a Git LFS pointer",
      "version https://git-lfs.github.com/spec/v1\n",
      "bad-input: x: a Git LFS pointer instead of the file",
    ],
    [
      "the beginning of a torch checkpoint",
      "PK\x03\x04",
      expect.stringMatching(/^bad-input: x: not a sound zip: /),
    ],
    [
      "a pickle",
      Buffer.from("\x80\x02}q\x00", "latin1"),
      "unsupported: x: a Python pickle, perhaps weights saved before PyTorch 1.6",
    ],
    ["GGML before GGUF", "tjgg", "unsupported: x: GGML, the format before GGUF"],
  ])("%s", (_, content, message) => {
    const folder = folderOf({ x: content });
    expect(refusal(() => openContainer(join(folder, "x"))).replace(`${folder}/`, "")).toEqual(message);
  });

  test.each([
    ["/no/such/file", "bad-input: /no/such/file: no such file"],
    ["package.json/x", "bad-input: package.json/x: no such file"],
    ["x\0y", "bad-input: x\0y: cannot be opened (ERR_INVALID_ARG_VALUE)"],
  ])("%j", (path, message) => {
    expect(refusal(() => openContainer(path))).toBe(message);
  });
});

// Real files by others' programs.
const shared = process.env["LLQ_SHARED"];
describe.skipIf(shared === undefined)("real safetensors files (needs LLQ_SHARED)", () => {
  const paths =
    shared === undefined
      ? []
      : readdirSync(shared, { recursive: true, encoding: "utf8" }).filter((path) =>
          path.endsWith(".safetensors"),
        );

  test.each(paths)("%s: the tensors are where its header says", (path) => {
    const file = readFileSync(join(shared!, path));
    const length = Number(file.readBigUInt64LE());
    const { __metadata__, ...header } = JSON.parse(file.subarray(8, 8 + length).toString());
    const expected = Object.entries<{ data_offsets: [number, number]; dtype: string; shape: number[] }>(
      header,
    ).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { file: 0, dtype, shape, offset: 8 + length + begin, byteLength: end - begin }],
    );
    expect([...openContainer(join(shared!, path)).tensors]).toEqual(expected);
  });
});
