import { describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { openImatrix, readImatrix } from "../../formats/imatrix/imatrix.js";
import { buildDat, buildImatrixGguf, refusal } from "../support/build/build.js";
import { attack } from "../support/damage.js";
import { TARGETS } from "../targets.js";

const GOLDEN = new URL("../golden/quantize/", import.meta.url);
const read = (bytes: Uint8Array) => readImatrix(new BufferSource("x", bytes));

describe("what llama-imatrix writes", () => {
  const gguf = openImatrix(new URL("tiny-llama.imatrix.gguf", GOLDEN).pathname);
  const dat = openImatrix(new URL("tiny-llama.imatrix.dat", GOLDEN).pathname);

  test("entries, text and chunks", () => {
    expect([gguf.entries.size, gguf.datasets, gguf.chunks]).toEqual([28, ["text.txt"], 20]);
    expect([dat.entries.size, dat.datasets, dat.chunks]).toEqual([28, ["text.txt"], 20]);
    expect(gguf.entries.get("blk.0.ffn_down.weight")).toHaveLength(768);
  });

  test("both forms of one matrix agree, to the rounding of the older one", () => {
    for (const [name, values] of gguf.entries) {
      const others = dat.entries.get(name)!;
      expect(others).toHaveLength(values.length);
      const worst = values.map((value, i) => Math.abs(others[i]! - value) / value);
      expect(Math.max(...worst)).toBeLessThan(2 ** -22);
    }
  });
});

describe("means", () => {
  test("GGUF: sums over counts, by expert; a count of 0 makes all columns equal", () => {
    const bytes = buildImatrixGguf({ entries: [["a", [3, 6, 5, 7, 1, 4], [3, 0, 8]]] });
    expect(read(bytes).entries).toEqual(new Map([["a", Float32Array.of(1, 2, 1, 1, 0.125, 0.5)]]));
  });

  test("GGUF: counts are rounded", () => {
    const bytes = buildImatrixGguf({ entries: [["a", [3, 6], [2.75]]] });
    expect(read(bytes).entries.get("a")).toEqual(Float32Array.of(1, 2));
  });

  test(".dat: sums over calls; without calls as they are", () => {
    const bytes = buildDat({
      entries: [
        { name: "a", calls: 4, values: [1, 2] },
        { name: "b", calls: 0, values: [1, 2] },
      ],
    });
    const entries = new Map([
      ["a", Float32Array.of(0.25, 0.5)],
      ["b", Float32Array.of(1, 2)],
    ]);
    expect(read(bytes)).toEqual({ file: "x", entries, datasets: [], chunks: 0 });
  });
});

const entry = { name: "a", calls: 1, values: [1] };

describe("refuses", () => {
  test.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /byte 0: 4 bytes expected, 0 left/],
    ["no entries", buildDat({ entries: [] }), /is empty/],
    [
      "a negative number of entries",
      buildDat({ count: -1, entries: [entry] }),
      /byte 0: -1 entries cannot fit/,
    ],
    ["more entries than fit", buildDat({ count: 3, entries: [entry] }), /byte 0: 3 entries cannot fit/],
    [
      "a name longer than the file",
      buildDat({ entries: [{ ...entry, nameLength: 99 }] }),
      /byte 4: 99 bytes of a name/,
    ],
    [
      "a name without text",
      buildDat({ entries: [{ ...entry, name: "" }], chunks: 1 }),
      /the name of entry 0 is empty/,
    ],
    ["the same name twice", buildDat({ entries: [entry, entry] }), /entry a appears twice/],
    ["negative calls", buildDat({ entries: [{ ...entry, calls: -1 }] }), /entry a has -1 calls/],
    [
      "more values than fit",
      buildDat({ entries: [{ ...entry, count: 2 ** 30 }] }),
      /1073741824 values cannot fit/,
    ],
    ["no values", buildDat({ entries: [{ ...entry, values: [] }], chunks: 1 }), /entry a has no values/],
    [
      "a value that is no number",
      buildDat({ entries: [{ ...entry, values: [1, Number.NaN] }] }),
      /column 1 .* NaN/,
    ],
    [
      "a negative value",
      buildDat({ entries: [{ ...entry, values: [-1] }] }),
      /column 0 has an importance of -1/,
    ],
    ["negative chunks", buildDat({ entries: [entry], chunks: -2 }), /-2 chunks/],
    [
      "a dataset longer than the file",
      buildDat({ entries: [entry], chunks: 1, datasetLength: 9 }),
      /9 bytes of a dataset/,
    ],
    ["a GGUF of something else", buildImatrixGguf({ isModel: true, entries: [] }), /no importance matrix/],
    ["a GGUF without entries", buildImatrixGguf({ entries: [] }), /is empty/],
    ["sums without counts", buildImatrixGguf({ entries: [["a", [1]]] }), /entry a has no counts/],
    [
      "counts that do not divide the sums",
      buildImatrixGguf({ entries: [["a", [1, 2, 3], [1, 1]]] }),
      /3 sums .* 2 counts/,
    ],
    ["a negative count", buildImatrixGguf({ entries: [["a", [1], [-3]]] }), /entry a has a count of -3/],
    [
      "an infinite sum",
      buildImatrixGguf({ entries: [["a", [Number.POSITIVE_INFINITY], [1]]] }),
      /column 0 .* Infinity/,
    ],
  ])("%s", (_, bytes, message) => {
    const said = refusal(() => read(bytes));
    expect(said).toMatch(/^bad-input: x: /);
    expect(said).toMatch(message);
  });

  test("every length shorter than the whole", () => {
    const bytes = buildDat({ entries: [entry, { ...entry, name: "b" }], chunks: 3, dataset: "text" });
    const complete = [bytes.length, bytes.length - 4 - "text".length, bytes.length - 8 - "text".length];
    for (let length = 0; length <= bytes.length; length++) {
      const said = refusal(() => read(bytes.subarray(0, length)));
      if (complete.includes(length)) expect(said).toBe("accepted");
      else expect(said).toMatch(/^bad-input: x: byte \d+: /);
    }
  });

  test.each(TARGETS.filter(({ name }) => name === "imatrix"))("20000 damaged files", (target) => {
    const { accepted, refused } = attack(target, 20_000, 1);
    expect(accepted).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(1000);
  });
});
