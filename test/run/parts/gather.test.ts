import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { gatherParts } from "../../../src/run/parts/gather.js";
import {
  checkParts,
  listRecords,
  readRecord,
  recordPath,
  removeRecords,
  secondsOf,
} from "../../../src/run/parts/record.js";
import { scratchFolder } from "../../support/scratch.js";
import { leaveRecord } from "./leave-record.js";

const folder = scratchFolder();
let outputs = 0;
const next = () => join(folder, `of${outputs++}`);
const head = { kind: "k", fingerprint: "f", about: null };

function leave(
  output: string,
  no: number,
  count: number,
  { ends = true, ...other }: Partial<typeof head> & { ends?: boolean } = {},
): void {
  leaveRecord(output, { ...head, no, count, ...other }, { ends });
}
const refused = (message: string, hint: string) => expect.objectContaining({ code: "usage", message, hint });
const row = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("parts that are gathered", () => {
  test("are in order of their numbers, not of their names", () => {
    const output = next();
    for (const no of [10, 2, 12, 1, 11, 3, 9, 4, 8, 5, 7, 6]) leave(output, no, 12);
    expect(gatherParts(output).map(({ no }) => no)).toEqual(row(1, 12));
    removeRecords(output);
    expect(listRecords(output)).toEqual([]);
  });

  const run = "run what is missing, then finish again";
  const again = "run it again with the same options: it goes on where it was stopped";
  // biome-ignore format: columns
  test.each<[there: readonly number[], count: number, message: string]>([
    [row(1, 2),          3,  "part 3 of 3 is not there"],
    [[2, 3],             3,  "part 1 of 3 is not there"],
    [[2],                3,  "parts 1, 3 of 3 are not there"],
    [[11],               11, "parts 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 of 11 are not there"],
    [[12],               12, "parts 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1 more of 12 are not there"],
    [[1],                99, "parts 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more of 99 are not there"],
  ])("%j of %i: what is missing is named, at most ten", (there, count, message) => {
    const output = next();
    for (const no of there) leave(output, no, count);
    expect(() => gatherParts(output)).toThrow(refused(`${output}: ${message}`, run));
  });

  test.each<[open: readonly number[], message: string]>([
    [[2], "part 2 of 3 is not complete"],
    [[1, 3], "parts 1, 3 of 3 are not complete"],
  ])("of which %j have no end yet", (open, message) => {
    const output = next();
    for (const no of [1, 2, 3]) leave(output, no, 3, { ends: !open.includes(no) });
    expect(() => gatherParts(output)).toThrow(refused(`${output}: ${message}`, again));
  });

  test.each<[what: string, parts: readonly (readonly [no: number, count: number])[], message: string]>([
    [
      "of two numbers of parts",
      [
        [1, 2],
        [1, 3],
      ],
      "there are parts of 2 and of 3",
    ],
    [
      "counted from 0",
      [
        [0, 2],
        [1, 2],
        [2, 2],
      ],
      "its parts are not numbered from 1",
    ],
    [
      "with one beyond the last",
      [
        [1, 2],
        [2, 2],
        [3, 2],
      ],
      "its parts are not numbered from 1",
    ],
  ])("%s are refused", (_, parts, message) => {
    const output = next();
    for (const [no, count] of parts) leave(output, no, count);
    const hint = `remove ${output}.part-* to start over`;
    expect(() => gatherParts(output)).toThrow(refused(`${output}: ${message}`, hint));
  });

  test.each<Partial<typeof head>>([{ fingerprint: "other" }, { kind: "other" }])(
    "of which one is of another work: %j",
    (other) => {
      const output = next();
      for (const no of [1, 3]) leave(output, no, 3);
      leave(output, 2, 3, other);
      const message = `${output}.part-2-of-3: is of other options, another source or another version of llq`;
      const refusal = refused(message, `remove ${output}.part-* to start over`);
      expect(() => gatherParts(output)).toThrow(refusal);
      const own = { ...head, no: 1, count: 3 };
      expect(() => checkParts(output, own)).toThrow(refusal);
      rmSync(recordPath(output, { no: 2, count: 3 }));
      expect(checkParts(output, own)).toMatchObject({ no: 1, path: `${output}.part-1-of-3` });
      expect(checkParts(output, { ...own, no: 2 })).toBeUndefined();
      expect(() => checkParts(output, { ...own, count: 4 })).toThrow(
        refused(
          `${output}.part-1-of-3: is one of 3 parts, and this is part 1/4`,
          `the same number for all; remove ${output}.part-* to start over`,
        ),
      );
    },
  );

  test("are those of the output alone, by their whole names", () => {
    const output = next();
    const names = [
      "x.part-1-of-2",
      ".part-1-of-2.lock",
      ".part-1-of-20000",
      ".part-1-of-",
      ".part-1of-2",
      ".part--1-of-2",
    ];
    for (const name of names) writeFileSync(`${output}${name}`, "");
    writeFileSync(join(folder, `x${output.slice(folder.length + 1)}.part-1-of-2`), "");
    expect(listRecords(output)).toEqual([]);
    leave(output, 2, 2);
    expect(listRecords(output)).toEqual([{ path: `${output}.part-2-of-2`, no: 2, count: 2 }]);
    expect(listRecords(join(folder, "no folder", "of"))).toEqual([]);
  });

  test("took as long as all of them together; one without end counts as nothing", () => {
    const output = next();
    leave(output, 1, 1);
    const found = readRecord(recordPath(output, { no: 1, count: 1 }));
    expect(secondsOf([1.5, undefined, 2.25].map((seconds) => ({ ...found, seconds })))).toBe(3.75);
  });

  test("a folder of a part's name is no part", () => {
    const output = next();
    mkdirSync(`${output}.part-1-of-1`);
    expect(() => gatherParts(output)).toThrow(expect.objectContaining({ name: "LlqError" }));
  });
});
