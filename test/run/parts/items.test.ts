import { join } from "node:path";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { LlqError } from "../../../formats/errors.js";
import { gatherParts } from "../../../src/run/parts/gather.js";
import { aboutOf, executeItems, floatBytes, floats, resultsOf } from "../../../src/run/parts/items.js";
import { readEntries, readRecord, recordPath } from "../../../src/run/parts/record.js";
import { scratchFolder } from "../../support/scratch.js";
import { leaveRecord } from "./leave-record.js";

const folder = scratchFolder();
let outputs = 0;
const next = () => join(folder, `items-${outputs++}`);
const one = { no: 1, count: 1 };
const work = (works: readonly number[]) => ({ kind: "k", fingerprint: "f", about: { of: "x" }, works });

/** A part's file with such entries, ended or not. */
function noted(output: string, entries: readonly unknown[], { part = one, ends = true } = {}) {
  const head = { ...part, kind: "k", fingerprint: "f", about: { of: "x", items: 3 } };
  return readRecord(leaveRecord(output, head, { entries, ends }));
}

/** Does a part; the result of each item is ten times its number. */
async function run(output: string, works: readonly number[], part = one) {
  const done: number[] = [];
  const summary = await executeItems(output, part, work(works), {
    run: async (items, note) => {
      for (const item of items) {
        done.push(item);
        note(item, item * 10);
      }
      return "extra";
    },
  });
  return { done, summary };
}

describe("a part of some items", () => {
  test("does its own, by their work, and notes the results and what the run says", async () => {
    const output = next();
    const first = await run(output, [8, 1, 1, 1, 1, 4], { no: 1, count: 2 });
    const second = await run(output, [8, 1, 1, 1, 1, 4], { no: 2, count: 2 });
    expect([first.done, second.done]).toEqual([[0], [1, 2, 3, 4, 5]]);
    expect([first.summary, second.summary]).toMatchObject([
      { no: 1, count: 2, elements: 1, resumed: 0, output, record: `${output}.part-1-of-2` },
      { no: 2, count: 2, elements: 5, resumed: 0, output, record: `${output}.part-2-of-2` },
    ]);
    const records = gatherParts(output);
    expect(records.map(({ extra }) => extra)).toEqual(["extra", "extra"]);
    expect(aboutOf(records, v.object({ of: v.string() }))).toEqual({ of: "x", items: 6 });
    const all = [...resultsOf(records, 6, v.number())];
    expect(all).toEqual([0, 1, 2, 3, 4, 5].map((item) => [item, item * 10]));
  });

  // biome-ignore format: columns
  test.each<[what: string, left: readonly unknown[], missing: readonly number[]]>([
    ["nothing",                         [],                                                            [0, 1, 2]],
    ["one item",                        [{ item: 1, result: 10 }],                                     [0, 2]],
    ["all items but no end",            [2, 0, 1].map((item) => ({ item, result: item * 10 })),        []],
    ["what is no item, at first",       [{ other: 1 }, { item: 1, result: 10 }],                       [0, 1, 2]],
    ["what is no item, then one",       [{ item: 0, result: 0 }, { other: 1 }, { item: 1, result: 10 }], [1, 2]],
    ["half an item",                    [{ item: 0, result: 0 }, { item: 1.5, result: 10 }],           [1, 2]],
    ["an item below the first",         [{ item: 0, result: 0 }, { item: -1, result: 10 }],            [1, 2]],
    ["a number, and no record",         [{ item: 0, result: 0 }, 7],                                   [1, 2]],
  ])("of which a killed run has left %s does what is missing", async (_, left, missing) => {
    const output = next();
    noted(output, left, { ends: false });
    const { done, summary } = await run(output, [1, 1, 1]);
    expect(done).toEqual(missing);
    expect(summary).toMatchObject({ elements: 3, resumed: 3 - missing.length });
    // each once: what was no item is cut off
    const records = gatherParts(output);
    expect([...readEntries(records[0]!)]).toHaveLength(3);
    expect(new Map(resultsOf(records, 3, v.number()))).toEqual(new Map([[0, 0], [1, 10], [2, 20]]));
  });

  test("that is done keeps what its run has said, and does nothing twice", async () => {
    const output = next();
    await run(output, [1, 1, 1]);
    const { done, summary } = await run(output, [1, 1, 1]);
    expect([done, summary.resumed]).toEqual([[], 3]);
    expect(readRecord(recordPath(output, one)).extra).toBe("extra");
  });

  test("whose run fails has noted what was done, and no end", async () => {
    const output = next();
    const failing = executeItems(output, one, work([1, 1]), {
      run: async (_, note) => {
        note(1, 10);
        throw new LlqError("interrupted", "stopped");
      },
    });
    await expect(failing).rejects.toMatchObject({ code: "interrupted" });
    const record = readRecord(recordPath(output, one));
    expect(record.seconds).toBeUndefined();
    expect([...readEntries(record)]).toEqual([{ item: 1, result: 10 }]);
  });
});

describe("results of all items", () => {
  const results = (...parts: (readonly unknown[])[]) => {
    const output = next();
    const count = parts.length;
    const records = parts.map((entries, i) => noted(output, entries, { part: { no: i + 1, count } }));
    return { records, all: () => [...resultsOf(records, 3, v.string())] };
  };
  const [a, b, c] = ["a", "b", "c"].map((result, item) => ({ item, result })) as [object, object, object];

  test("come in the order in which the parts have them, each once: the first that is noted", () => {
    const twice = { item: 1, result: "another" };
    expect(results([c, b, twice], [twice, a]).all()).toEqual([
      [2, "c"],
      [1, "b"],
      [0, "a"],
    ]);
  });

  test.each<[what: string, entry: unknown]>([
    ["what is no item", { header: 1 }],
    ["a number", 7],
    ["an item without a number", { result: "c" }],
    ["half an item", { item: 1.5, result: "c" }],
    ["the item behind the last", { item: 3, result: "c" }],
    ["an item far beyond", { item: 2 ** 40, result: "c" }],
    ["a result of another kind", { item: 2, result: 7 }],
    ["no result", { item: 2, result: null }],
  ])("with %s among them are damaged, and it is said whose", (_, entry) => {
    const { records, all } = results([a, b], [entry, c]);
    expect(all).toThrow(
      expect.objectContaining({
        code: "bad-input",
        message: `${records[1]!.path}: is damaged`,
        hint: "remove it, and run part 2/2 again",
      }),
    );
  });

  test("of which some are missing are counted", () => {
    const { records, all } = results([c], [a]);
    expect(all).toThrow(
      expect.objectContaining({
        code: "bad-input",
        message: `${records[0]!.path}: the parts have 2 of 3 results`,
        hint: "some part is damaged",
      }),
    );
  });

  test.each<[what: string, about: unknown]>([
    ["nothing", null],
    ["no number of items", { of: "x" }],
    ["half an item", { of: "x", items: 0.5 }],
    ["less than none", { of: "x", items: -1 }],
    ["nothing of its own", { items: 3 }],
  ])("of a work of which %s is said are damaged", (_, about) => {
    const { records } = results([]);
    const damaged = [{ ...records[0]!, about }];
    expect(() => aboutOf(damaged, v.object({ of: v.string() }))).toThrow(
      expect.objectContaining({ code: "bad-input", message: expect.stringContaining(records[0]!.path) }),
    );
  });
});

test("floats are eight bytes each, of their own, wherever they stand", () => {
  const some = Float64Array.of(9, 1, -0, Number.NaN, 9).subarray(1, 4);
  const bytes = floatBytes(some);
  // IEEE 754, little-endian
  expect(Buffer.from(bytes).toString("hex")).toMatch(/^000000000000f03f0000000000000080000000000000f87f$/);
  some[0] = 2;
  const shifted = Buffer.concat([Buffer.from("x"), bytes]).subarray(1);
  expect(v.parse(floats, new Uint8Array(shifted.buffer, shifted.byteOffset, 24))).toEqual(
    Float64Array.of(1, -0, Number.NaN),
  );
  for (const damaged of [bytes.subarray(1), [1, 2], "12345678", null])
    expect(v.safeParse(floats, damaged).success).toBe(false);
});
