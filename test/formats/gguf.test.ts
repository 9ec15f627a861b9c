import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gguf as readWithHuggingFace } from "@huggingface/gguf";
import { afterAll, describe, expect, test } from "vitest";
import { ByteWriter } from "../../formats/byte-writer.js";
import { BufferSource, ByteReader, type ByteSource, withFile } from "../../formats/bytes.js";
import type { Container, Metadata, MetaField } from "../../formats/container.js";
import { type DTypeName, dtype } from "../../formats/dtype.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { ggufHeader, meta, type TensorHeader } from "../../formats/gguf/gguf-write.js";
import { openContainer } from "../../formats/open.js";
import {
  type ArrayParts,
  buildGguf,
  everyFieldGguf,
  type GgufParts,
  refusal,
  T,
  type TensorParts,
  type Value,
} from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { TARGETS } from "../targets.js";

const read = (bytes: Uint8Array) => readGguf(new BufferSource("x.gguf", bytes));
const folder = mkdtempSync(join(tmpdir(), "llq-gguf-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("reading", () => {
  const gguf = read(everyFieldGguf.bytes);

  test("metadata keeps order, types and values", () => {
    const fields = [...gguf.metadata].map(([key, { type, item, value }]) => [key, item ?? type, value]);
    expect(fields).toEqual([
      ["general.architecture", "string", "llama"],
      ["general.alignment", "u32", 64],
      ["a.u8", "u8", 255],
      ["a.i8", "i8", -128],
      ["a.u16", "u16", 65535],
      ["a.i16", "i16", -32768],
      ["a.i32", "i32", -(2 ** 31)],
      ["a.f32", "f32", Math.fround(1e-5)],
      ["a.bool", "bool", true],
      ["a.true_as_two", "bool", true],
      ["a.u64", "u64", 2n ** 64n - 1n],
      ["a.i64", "i64", -(2n ** 63n)],
      ["a.f64", "f64", Math.PI],
      ["a.empty", "string", ""],
      ["a.ключ", "string", "\ufeffzażółć 🙂\n"],
      ["a.not_utf8", "string", "a\ufffd\ufffd"],
      ["tokens", "string", ["a", "\ufeff", "", "\ufffd", "▁b"]],
      ["scores", "f32", [0, -1.5, Number.NEGATIVE_INFINITY]],
      ["types", "i32", [1, -2, 3]],
      ["flags", "bool", [true, false, true]],
      ["sizes", "u64", [1n, 2n ** 60n]],
      ["none", "u8", []],
      ["nested", "array", [[1, 2], ["x"]]],
    ]);
  });

  test("shapes have the outermost dimension first, offsets count from the start of the file", () => {
    const dataStart = everyFieldGguf.bytes.length - 576;
    const tensors = [...gguf.tensors].map(([name, { dtype, shape, byteLength, offset }]) => [
      name,
      dtype,
      shape,
      byteLength,
      offset - dataStart,
    ]);
    expect(tensors).toEqual([
      ["scalar", "F32", [], 4, 0],
      ["row.f16", "F16", [5], 10, 64],
      ["matrix.bf16", "BF16", [2, 3], 12, 128],
      ["cube.q4_0", "Q4_0", [3, 2, 32], 108, 192],
      ["four.q8_0", "Q8_0", [2, 1, 2, 32], 136, 320],
      ["no.rows", "F32", [0, 4], 0, 512],
      ["last", "F32", [4, 4], 64, 512],
    ]);
  });

  test("metadata can be cloned, as a plan that goes to a worker is", () => {
    expect(structuredClone(gguf.metadata)).toEqual(gguf.metadata);
  });

  test("version 2 has the same layout", () => {
    expect(read(buildGguf({ version: 2, fields: [["k", T.u8, 1]] }).bytes)).toMatchObject({ version: 2 });
  });

  test("gaps between tensors and bytes after the last one are allowed", () => {
    const tensors = [
      { name: "b", dims: [1], offset: 64 },
      { name: "a", dims: [1], offset: 0 },
    ];
    expect([...read(buildGguf({ tensors, data: 500 }).bytes).tensors.keys()]).toEqual(["b", "a"]);
  });
});

/** One row per rule: what is wrong, the file, and what is said of it. */
// biome-ignore format: a row per rule
const ATTACKS: [rule: string, parts: GgufParts, message: string][] = [
  ["another format", { magic: 0x67676a74 }, "byte 0: not a GGUF file: it does not begin with GGUF"],
  ["more tensors than fit", { tensorCount: 1 }, "byte 8: 1 tensors cannot fit the 8 bytes left"],
  ["2^64 - 1 tensors", { tensorCount: 2n ** 64n - 1n }, "byte 8: 18446744073709551615 is too large for a number of tensors"],
  ["2^53 - 1 tensors", { tensorCount: 2n ** 53n - 1n }, "byte 8: 9007199254740991 tensors cannot fit the 8 bytes left"],
  ["more metadata than fits", { fieldCount: 2 ** 40 }, "byte 16: 1099511627776 metadata values cannot fit the 0 bytes left"],
  ["more tensors than any model has", { tensorCount: 262145, data: 25 * 262145 + 8 }, "byte 8: 262145 tensors; at most 262144 are allowed"],
  ["more metadata than any model has", { fieldCount: 65537, data: 14 * 65537 }, "byte 16: 65537 metadata values; at most 65536 are allowed"],
  ["an empty key", withField("", T.u64, 0), "byte 24: the key of metadata value 0 is empty"],
  ["a key that is not UTF-8", withField(Uint8Array.of(0xc3, 0x28), T.u32, 0), "byte 24: the key of metadata value 0 is not valid UTF-8"],
  ["a key that is not printable", withField("\x1b[2J", T.u32, 0), 'byte 24: the key of metadata value 0 has characters that cannot be printed: "\\u001b[2J"'],
  ["a key beyond the format's limit", withField("k".repeat(65536), T.u32, 0), "byte 24: the key of metadata value 0 has 65536 bytes, at most 65535 are allowed"],
  ["a key twice", { fields: [["k", T.u32, 1], ["k", T.u32, 2]] }, "byte 41: metadata key k appears twice"],
  ["an unknown type of value", { ...withField("k", 13, 0), data: 8 }, "byte 33: metadata key k has unknown type 13"],
  ["an unknown type of item", { ...withField("k", T.array, { item: 255, values: [] }), data: 8 }, "byte 37: metadata key k has unknown type 255"],
  ["a string longer than the file", withField("k", T.string, 2 ** 32), "byte 37: 4294967296 bytes in k cannot fit the 0 bytes left"],
  ["an array longer than the file", withField("k", T.array, { item: T.u64, count: 2, values: [1] }), "byte 41: 2 items in k cannot fit the 8 bytes left"],
  ["an array whose size overflows", withField("k", T.array, { item: T.u64, count: 2n ** 61n, values: [] }), "byte 41: 2305843009213693952 is too large for a number of items in k"],
  ["an array of strings that ends early", withField("k", T.array, { item: T.string, count: 2, values: ["12345678"] }), "byte 65: 8 bytes expected, 0 left"],
  ["arrays nested too deeply", withField("k", T.array, nested(5)), "byte 85: metadata key k has arrays nested deeper than 4"],
  ["alignment of another type", withField("general.alignment", T.u64, 32), "general.alignment has type u64, expected u32"],
  ["alignment 0", withField("general.alignment", T.u32, 0), "general.alignment is 0, expected a multiple of 8 up to 2097152"],
  ["alignment 4", withField("general.alignment", T.u32, 4), "general.alignment is 4, expected a multiple of 8 up to 2097152"],
  ["alignment 33", withField("general.alignment", T.u32, 33), "general.alignment is 33, expected a multiple of 8 up to 2097152"],
  ["alignment 2^31", withField("general.alignment", T.u32, 2 ** 31), "general.alignment is 2147483648, expected a multiple of 8 up to 2097152"],
  ["a tensor without a name", withTensor({ name: "" }), "byte 24: the name of tensor 0 is empty"],
  ["a tensor's name that is not UTF-8", withTensor({ name: Uint8Array.of(0xff) }), "byte 24: the name of tensor 0 is not valid UTF-8"],
  ["a tensor's name with a zero", withTensor({ name: "a\0b" }), 'byte 24: the name of tensor 0 has characters that cannot be printed: "a\\u0000b"'],
  ["a tensor twice", { tensors: [{ name: "w" }, { name: "w", offset: 32 }], data: 64 }, "byte 49: tensor w appears twice"],
  ["five dimensions", withTensor({ dims: [1, 1, 1, 1, 1] }), "byte 24: tensor w has 5 dimensions, at most 4 are allowed"],
  ["2^32 - 1 dimensions", withTensor({ rank: 2 ** 32 - 1 }), "byte 24: tensor w has 4294967295 dimensions, at most 4 are allowed"],
  ["a dimension of 2^63", withTensor({ dims: [2n ** 63n] }), "byte 37: 9223372036854775808 is too large for a dimension of tensor w"],
  ["a size that overflows", withTensor({ dims: [2 ** 32, 2 ** 32] }), "byte 24: tensor w: a tensor of 4294967296x4294967296 is too large"],
  ["a size that overflows in bytes only", withTensor({ dims: [2 ** 26, 2 ** 26] }), "byte 24: tensor w: a tensor of 67108864x67108864 is too large"],
  ["a row that is not a multiple of the block", withTensor({ dims: [33, 32], type: 2 }), "byte 24: tensor w: rows of 33 are not a whole number of Q4_0 blocks of 32"],
  ["a scalar of a block type", withTensor({ type: 8 }), "byte 24: tensor w: rows of 1 are not a whole number of Q8_0 blocks of 32"],
  ["an offset that is not aligned", withTensor({ offset: 16 }), "byte 24: tensor w has offset 16, not a multiple of 32"],
  ["an offset beyond the file", withTensor({ offset: 64 }), "byte 24: tensor w ends at byte 132, but the file ends at 128"],
  ["an offset of 2^63", withTensor({ offset: 2n ** 63n }), "byte 41: 9223372036854775808 is too large for the offset of tensor w"],
  ["an offset that overflows", withTensor({ offset: 2n ** 53n - 32n }), "byte 24: tensor w ends at byte 9007199254741028, but the file ends at 128"],
  ["data that ends a byte early", { ...withTensor({ dims: [16] }), data: 63 }, "byte 24: tensor w ends at byte 128, but the file ends at 127"],
  ["a tensor inside another", { tensors: [{ name: "a", dims: [24] }, { name: "b", offset: 64 }], data: 96 }, "byte 57: tensors a and b overlap"],
  ["two tensors in one place", { tensors: [{ name: "a" }, { name: "b" }], data: 4 }, "byte 49: tensors a and b overlap"],
];

/** Sound files that this version cannot use. */
// biome-ignore format: a row per rule
const UNSUPPORTED: typeof ATTACKS = [
  ["version 0", { version: 0 }, "byte 4: GGUF version 0 is not supported, only 2 and 3 are"],
  ["version 1", { version: 1 }, "byte 4: GGUF version 1 is not supported, only 2 and 3 are"],
  ["version 4", { version: 4 }, "byte 4: GGUF version 4 is not supported, only 2 and 3 are"],
  ["an unknown type", withTensor({ type: 250 }), "byte 24: tensor w has unknown type 250"],
  ["a type that ggml has removed", withTensor({ type: 4 }), "byte 24: tensor w has unknown type 4"],
];

function withField(key: string | Uint8Array, type: number, value: Value): GgufParts {
  return { fields: [[key, type, value]] };
}

function withTensor(tensor: Partial<TensorParts>): GgufParts {
  return { tensors: [{ name: "w", ...tensor }], data: 64 };
}

function nested(depth: number): ArrayParts {
  return depth === 0 ? { item: T.u8, values: [] } : { item: T.array, values: [nested(depth - 1)] };
}

describe("refusals", () => {
  test.each(ATTACKS)("%s", (_, parts, message) => {
    expect(refusal(() => read(buildGguf(parts).bytes))).toBe(`bad-input: x.gguf: ${message}`);
  });

  test.each(UNSUPPORTED)("%s", (_, parts, message) => {
    expect(refusal(() => read(buildGguf(parts).bytes))).toBe(`unsupported: x.gguf: ${message}`);
  });

  test("metadata that takes all memory", () => {
    const { bytes } = buildGguf({ fields: [["k", T.array, { item: T.u8, count: 2 ** 33, values: [] }]] });
    const sparse: ByteSource = {
      name: "x.gguf",
      byteLength: 2 ** 34,
      read: (offset, length) => Buffer.concat([bytes.subarray(offset), Buffer.alloc(length)], length),
    };
    expect(refusal(() => readGguf(sparse))).toBe(
      "bad-input: x.gguf: byte 37: metadata of more than 268435456 bytes",
    );
  });

  test("every length shorter than the header and the tensors", () => {
    const { bytes } = everyFieldGguf;
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(() => read(bytes.subarray(0, length)))).toMatch(/^bad-input: x.gguf: byte \d+: /);
    }
  });

  test.each(TARGETS.filter(({ name }) => name === "gguf"))(
    "20000 damaged files",
    (target) => {
      const { accepted, refused } = attack(target, 20_000, 1);
      expect(accepted).toBeGreaterThan(1000);
      expect(refused).toBeGreaterThan(1000);
    },
    120_000,
  );
});

describe("writing", () => {
  const metadata: Metadata = new Map([
    ["general.architecture", meta.string("llama")],
    ["llama.block_count", meta.u32(2)],
    ["llama.rope.freq_base", meta.f32(10000)],
    ["tokenizer.ggml.tokens", meta.strings(["<unk>", "", "zażółć"])],
    ["tokenizer.ggml.scores", meta.f32s([0, -1.5, 0.1])],
    ["tokenizer.ggml.token_type", meta.i32s([2, 1, -1])],
    ["tokenizer.ggml.add_bos_token", meta.bool(true)],
    ["big", meta.u64(2n ** 63n)],
    ["flags", meta.bools([true, false])],
  ]);
  const tensors: TensorHeader[] = [
    { name: "token_embd.weight", dtype: "Q8_0", shape: [3, 32] },
    { name: "blk.0.attn_norm.weight", dtype: "F32", shape: [5] },
    { name: "blk.0.ffn_gate_exps.weight", dtype: "Q4_0", shape: [2, 3, 64] },
    { name: "output.weight", dtype: "BF16", shape: [7, 1] },
  ];

  test("another reader finds every key and every tensor", async () => {
    const path = join(folder, "written.gguf");
    writeFileSync(path, withData(ggufHeader(metadata, tensors)));
    const { typedMetadata, tensorInfos } = await readWithHuggingFace(path, {
      allowLocalFile: true,
      typedMetadata: true,
    });
    const { version, tensor_count, kv_count, ...found } = typedMetadata as Record<string, OtherField>;
    expect([version?.value, tensor_count?.value, kv_count?.value]).toEqual([3, 4n, 9n]);
    expect(Object.keys(found)).toEqual([...metadata.keys()]);
    for (const [key, { type, item, value }] of metadata) {
      expect([T[type], item && T[item], value].map(comparable)).toEqual(
        [found[key]!.type, found[key]!.subType, found[key]!.value].map(comparable),
      );
    }
    expect(
      tensorInfos.map(({ name, shape, dtype: id, offset }) => [
        name,
        shape.map(Number).reverse(),
        id,
        offset,
      ]),
    ).toEqual([
      ["token_embd.weight", [3, 32], dtype("Q8_0").ggml, 0n],
      ["blk.0.attn_norm.weight", [5], dtype("F32").ggml, 128n],
      ["blk.0.ffn_gate_exps.weight", [2, 3, 64], dtype("Q4_0").ggml, 160n],
      ["output.weight", [7, 1], dtype("BF16").ggml, 384n],
    ]);
  });

  test("what is read is what was written, and is written again byte for byte", () => {
    const written = ggufHeader(metadata, tensors);
    const gguf = read(withData(written));
    const plain = ([key, { type, item, value }]: [string, MetaField]) => [key, type, item, value];
    const rounded = new Map(metadata).set("tokenizer.ggml.scores", meta.f32s([0, -1.5, Math.fround(0.1)]));
    expect([...gguf.metadata].map(plain)).toEqual([...rounded].map(plain));
    expect([...gguf.tensors.values()].map(({ offset }) => offset)).toEqual(written.offsets);
    expect(rewrite(gguf)).toEqual(written);
  });

  test("a file that has every field is written again byte for byte, whatever its values", () => {
    const { header, byteLength } = rewrite(read(everyFieldGguf.bytes));
    expect(header).toEqual(everyFieldGguf.bytes.subarray(0, header.length));
    expect(byteLength).toBe(everyFieldGguf.bytes.length);
  });

  test("data is aligned as general.alignment says, and padded to the end of the file", () => {
    const { header, offsets, byteLength } = ggufHeader(
      new Map([["general.alignment", meta.u32(256)]]),
      tensors.slice(0, 2),
    );
    expect(header.length % 256).toBe(0);
    expect(offsets).toEqual([header.length, header.length + 256]);
    expect(byteLength).toBe(header.length + 512);
  });

  test("a file without tensors ends with its metadata", () => {
    const { header, byteLength } = ggufHeader(new Map([["k", meta.u8(1)]]), []);
    expect([header.length, byteLength]).toEqual([24 + 8 + 1 + 4 + 1, header.length]);
  });

  test.each<[what: string, key: Metadata, tensors: TensorHeader[], message: string]>([
    [
      "a number out of its type's range",
      new Map([["k", meta.u32(2 ** 32)]]),
      [],
      "bad-input: metadata key k: 4294967296 is not a whole number of type u32",
    ],
    [
      "a fraction",
      new Map([["k", meta.i32s([1, 0.5])]]),
      [],
      "bad-input: metadata key k: 0.5 is not a whole number of type i32",
    ],
    [
      "five dimensions",
      new Map(),
      [{ name: "w", dtype: "F32", shape: [1, 1, 1, 1, 1] }],
      "unsupported: tensor w has 5 dimensions, GGUF has at most 4",
    ],
    [
      "a name that ggml would refuse",
      new Map(),
      [{ name: `${"w".repeat(61)}ж`.padEnd(63, "w"), dtype: "F32", shape: [1] }],
      `unsupported: the name of tensor ${"w".repeat(61)}жw has 64 bytes, ggml reads at most 63`,
    ],
  ])("%s is refused", (_, fields, infos, message) => {
    expect(refusal(() => ggufHeader(fields, infos))).toBe(message);
  });
});

test("values and bytes that cross the edge of a page are read whole", () => {
  const w = new ByteWriter();
  while (w.length < 2 ** 21 + 5) w.u32(w.length);
  w.bytes(Buffer.from("text after the pages"));
  for (const start of [0, 1, 2, 3]) {
    const r = new ByteReader(new BufferSource("pages", w.toBytes().subarray(start)));
    r.skip(2 ** 20 - 8 - start);
    expect([r.u32(), r.u32(), r.u32()]).toEqual([2 ** 20 - 8, 2 ** 20 - 4, 2 ** 20]);
    r.offset = 2 ** 20 - 6 - start;
    expect([...r.bytes(3)]).toEqual([0x0f, 0, 0xfc]);
    r.offset = w.length - 20 - start;
    expect(r.text(20)).toBe("text after the pages");
    r.offset = 4 - start;
    expect(r.u32()).toBe(4);
  }
});

describe("a file by gguf-py", () => {
  const path = "test/golden/containers/gguf-py.gguf";
  const bytes = readFileSync(path);
  const golden = JSON.parse(readFileSync("test/golden/containers/gguf-py.json", "utf8")) as {
    fields: [key: string, type: string, value: unknown][];
    tensors: [name: string, type: DTypeName, shape: number[], offset: number, byteLength: number][];
  };

  test("is read as gguf-py reads it", () => {
    const { metadata, tensors } = readGguf(new BufferSource(path, bytes));
    const plain = (value: unknown) => (typeof value === "bigint" ? String(value) : value);
    expect([...metadata].map(([key, { value }]) => [key, plain(value)])).toEqual(
      golden.fields.map(([key, , value]) => [key, value]),
    );
    expect(
      [...tensors].map(([name, { dtype, shape, offset, byteLength }]) => [
        name,
        dtype,
        shape,
        offset,
        byteLength,
      ]),
    ).toEqual(golden.tensors);
  });

  test("is written as gguf-py writes it", () => {
    const metadata = new Map(golden.fields.map(([key, type, value]) => [key, fieldOf(type, value)]));
    const tensors = golden.tensors.map(([name, dtype, shape]) => ({ name, dtype, shape }));
    const { header, offsets, byteLength } = ggufHeader(metadata, tensors);
    expect(Buffer.compare(header, bytes.subarray(0, header.length))).toBe(0);
    expect(offsets).toEqual(golden.tensors.map(([, , , offset]) => offset));
    expect(byteLength).toBe(bytes.length);
  });

  function fieldOf(type: string, value: unknown): MetaField {
    if (type === "STRING") return meta.string(value as string);
    if (type === "BOOL") return meta.bool(value as boolean);
    if (type !== "ARRAY") {
      const name = type.toLowerCase().replace("uint", "u").replace("int", "i").replace("float", "f") as "u64";
      return { type: name, value: typeof value === "string" ? BigInt(value) : (value as number) };
    }
    const items = value as never[];
    if (typeof items[0] === "string") return meta.strings(items);
    if (typeof items[0] === "boolean") return meta.bools(items);
    return items.every(Number.isInteger) ? meta.i32s(items) : meta.f32s(items);
  }
});

describe("a model in several files", () => {
  const part = (no: number, names: string[], count = 2) =>
    buildGguf({
      fields: [
        ...(no === 0 ? [["general.architecture", T.string, "llama"] as const] : []),
        ["split.no", T.u16, no],
        ["split.count", T.u16, count],
        ["split.tensors.count", T.i32, 3],
      ],
      tensors: names.map((name, i) => ({ name, dims: [1], offset: i * 32 })),
      data: 64,
    }).bytes;
  const write = (first: Uint8Array, second?: Uint8Array) => {
    const path = join(mkdtempSync(join(folder, "split-")), "m-00001-of-00002.gguf");
    writeFileSync(path, first);
    if (second !== undefined) writeFileSync(path.replace("00001", "00002"), second);
    return path;
  };

  test("is joined, and then no longer says that it is split", () => {
    const path = write(part(0, ["a"]), part(1, ["b", "c"]));
    const { files, tensors, metadata } = openContainer(path);
    expect(files).toEqual([path, path.replace("00001", "00002")]);
    expect([...tensors].map(([name, { file }]) => [name, file])).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 1],
    ]);
    expect([...metadata.keys()]).toEqual(["general.architecture"]);
  });

  test.each<[what: string, first: Uint8Array, second: Uint8Array | undefined, message: string]>([
    ["a part that is missing", part(0, ["a"]), undefined, "m-00002-of-00002.gguf: no such file"],
    [
      "a part that is not the first",
      part(1, ["a"]),
      undefined,
      "m-00001-of-00002.gguf: part 2 of a model in 2 files",
    ],
    ["another count", part(0, ["a"], 3), undefined, "m-00001-of-00002.gguf: part 1 of a model in 3 files"],
    [
      "the same part twice",
      part(0, ["a"]),
      part(0, ["b"]),
      "m-00002-of-00002.gguf: says that it is another part of a model",
    ],
    [
      "a part of another model",
      part(0, ["a"]),
      part(1, ["b"], 3),
      "m-00002-of-00002.gguf: says that it is another part of a model",
    ],
    [
      "a tensor twice",
      part(0, ["a"]),
      part(1, ["a", "b"]),
      "m-00002-of-00002.gguf: tensor a is in another part too",
    ],
    [
      "a tensor too few",
      part(0, ["a"]),
      part(1, ["b"]),
      "m-00001-of-00002.gguf: the 2 files have 2 tensors, expected 3",
    ],
  ])("%s is refused", (_, first, second, message) => {
    const path = write(first, second);
    expect(refusal(() => openContainer(path)).replace(`${dirname(path)}/`, "")).toBe(`bad-input: ${message}`);
  });
});

// Real files by others' programs, vocabularies without tensors among them.
const shared = process.env["LLQ_SHARED"];
describe.skipIf(shared === undefined)("real GGUF files (needs LLQ_SHARED)", () => {
  const paths =
    shared === undefined ? [] : readdirSync(shared, { recursive: true, encoding: "utf8" }).filter(isGguf);

  test.each(paths)("%s is written again byte for byte", (path) => {
    withFile(join(shared!, path), (source) => {
      const { header, offsets, byteLength } = rewrite(readGguf(source));
      expect(byteLength).toBe(source.byteLength);
      expect(offsets).toEqual([...readGguf(source).tensors.values()].map(({ offset }) => offset));
      expect(Buffer.compare(header, source.read(0, header.length))).toBe(0);
    });
  });
});

interface OtherField {
  readonly type: number;
  readonly subType?: number;
  readonly value: unknown;
}

/** That reader returns 64-bit integers and floats in its own manner. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  return typeof value === "number" ? Math.fround(value) : value;
}

function rewrite({ metadata, tensors }: Container) {
  return ggufHeader(
    metadata,
    Array.from(tensors, ([name, tensor]) => ({ name, ...tensor })),
  );
}

function withData({ header, byteLength }: { header: Uint8Array; byteLength: number }): Uint8Array {
  const file = new Uint8Array(byteLength);
  file.set(header);
  return file;
}

function isGguf(path: string): boolean {
  return path.endsWith(".gguf");
}
