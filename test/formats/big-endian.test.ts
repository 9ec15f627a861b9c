import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { BufferSource, withFile } from "../../formats/bytes.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { openInput } from "../../formats/inputs.js";
import { readSourceRows } from "../../src/rows/stored.js";
import { buildGguf, refusal, T, turned } from "../support/build/build.js";

// A file as gguf-py's gguf_convert_endian.py turns it: golden/make/big_endian.py.
const GOLDEN = "test/golden/containers/big-endian";
const stored = JSON.parse(readFileSync(`${GOLDEN}.json`, "utf8")) as Record<string, string>;

describe("a file of a big-endian machine", () => {
  const gguf = withFile(`${GOLDEN}.gguf`, readGguf);

  test("says what it said before it was turned, in little-endian bytes", () => {
    expect([...gguf.metadata].map(([key, { value }]) => [key, value])).toEqual([
      ["general.architecture", "llama"],
      ["t.u8", 200],
      ["t.i16", -30000],
      ["t.u32", 4000000001],
      ["t.f32", Math.fround(0.1)],
      ["t.bool", true],
      ["t.string", "zażółć 🙂"],
      ["t.u64", 2n ** 63n + 1n],
      ["t.i64", -(2n ** 62n) + 5n],
      ["t.f64", 0.1],
      ["t.strings", ["<s>", "▁a", "\ufeff", ""]],
      ["t.f32s", [0.5, -1.25]],
      ["t.i32s", [1, -2, 3]],
      ["t.bools", [true, false]],
    ]);
    expect(gguf.metadata.get("t.u32")!.raw).toEqual(Uint8Array.from([0x01, 0x28, 0x6b, 0xee]));
    expect(gguf.version).toBe(3);
  });

  test.each(Object.entries(stored))("has %s as it was", (name, bytes) => {
    const source = gguf.tensors.get(name)!;
    const { fd } = openInput(`${GOLDEN}.gguf`);
    const rows = source.shape[0]!;
    const length = source.byteLength / rows;
    // Rows that follow each other, and rows apart: two ways to read them.
    for (const pitch of [length, length + 4]) {
      const read = new Uint8Array(pitch * rows);
      readSourceRows(fd, source, 0, rows, { memory: () => read, at: 0, pitch, name });
      const parts = Array.from({ length: rows }, (_, k) => read.subarray(k * pitch, k * pitch + length));
      expect(Buffer.concat(parts).toString("hex")).toBe(bytes);
    }
  });
});

describe("refused", () => {
  const file = (type: number) =>
    turned(
      buildGguf({
        fields: [["a", T.u32, 5]],
        tensors: [{ name: "w", dims: [256], type }],
        data: 1024,
      }),
    );
  const read = (bytes: Uint8Array) => readGguf(new BufferSource("x.gguf", bytes));

  test("types that gguf_convert_endian.py does not turn, by name", () => {
    expect(read(file(0)).tensors.get("w")!.bigEndian).toBe(true);
    expect(read(file(0)).metadata.get("a")!.value).toBe(5);
    const why = "tensor w is Q5_K, which is not read from big-endian files";
    expect(refusal(() => read(file(13)))).toBe(`unsupported: x.gguf: byte 41: ${why}`);
  });

  test("a little-endian file whose version alone is turned", () => {
    const { bytes } = buildGguf({ fields: [["a", T.u32, 5]], version: 0x03000000 });
    expect(refusal(() => read(bytes))).toBe(
      "bad-input: x.gguf: byte 16: 72057594037927936 is too large for a number of metadata values",
    );
  });

  test("version 2, which had one byte order", () => {
    const { bytes } = buildGguf({ version: 0x02000000 });
    expect(refusal(() => read(bytes))).toContain("GGUF version 33554432 is not supported");
  });
});
