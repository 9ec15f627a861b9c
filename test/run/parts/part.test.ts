import { describe, expect, test } from "vitest";
import { parsePart, shareOf } from "../../../src/run/parts/part.js";

const refused = (words: RegExp) =>
  expect.objectContaining({ code: "usage", message: expect.stringMatching(words) });

describe("which part a run is", () => {
  test("by its number", () => {
    expect(parsePart("1/1", {})).toEqual({ no: 1, count: 1 });
    expect(parsePart("7/16", {})).toEqual({ no: 7, count: 16 });
  });

  test.each([
    ["0/4", /there is no part 0 of 4/],
    ["5/4", /there is no part 5 of 4/],
    ["1/0", /is no part/],
    ["1/10000", /is no part/],
    ["-1/4", /is no part/],
    ["1.5/4", /is no part/],
    ["2", /is no part/],
    ["2/", /is no part/],
    ["slurm", /is no part/],
    ["lsf/4", /lsf is no engine that is known/],
    ["toString/4", /toString is no engine/],
    ["1e1/4", /is no part/],
  ])("%s is refused", (text, words) => {
    expect(() => parsePart(text, {})).toThrow(refused(words));
  });

  /** What Slurm sets: scontrol's man page of job arrays. */
  const slurm = (id: number, min: number, max: number, step: number, tasks: number) => ({
    SLURM_ARRAY_TASK_ID: `${id}`,
    SLURM_ARRAY_TASK_MIN: `${min}`,
    SLURM_ARRAY_TASK_MAX: `${max}`,
    SLURM_ARRAY_TASK_STEP: `${step}`,
    SLURM_ARRAY_TASK_COUNT: `${tasks}`,
  });

  test.each([
    ["--array=1-4", slurm(3, 1, 4, 1, 4), 3],
    ["--array=0-3", slurm(3, 0, 3, 1, 4), 4],
    ["--array=0-3", slurm(0, 0, 3, 1, 4), 1],
    ["--array=1-7:2", slurm(5, 1, 7, 2, 4), 3],
    ["--array=0-30:10", slurm(30, 0, 30, 10, 4), 4],
    // one task again, by itself: what can be told is
    ["--array=4", slurm(4, 4, 4, 1, 1), 4],
    ["--array=0", slurm(0, 0, 0, 1, 1), 1],
  ])("slurm/4 of %s", (_, env, no) => {
    expect(parsePart("slurm/4", env)).toEqual({ no, count: 4 });
  });

  test.each([
    ["one task again, counted from 0 or from 1", slurm(2, 2, 2, 1, 1)],
    ["some tasks again", slurm(2, 2, 3, 1, 2)],
    ["a list that is no row", slurm(2, 1, 9, 1, 4)],
    ["ids that begin higher", slurm(3, 2, 5, 1, 4)],
  ])("slurm/4 does not guess: %s", (_, env) => {
    expect(() => parsePart("slurm/4", env)).toThrow(refused(/may be part \d or \d/));
  });

  test("slurm0 and slurm1 say from where ids count", () => {
    const env = slurm(2, 2, 2, 1, 1);
    expect(parsePart("slurm0/4", env).no).toBe(3);
    expect(parsePart("slurm1/4", env).no).toBe(2);
    expect(() => parsePart("slurm0/4", slurm(4, 4, 4, 1, 1))).toThrow(refused(/no part 5 of 4/));
  });

  test("a completion index counts from 0", () => {
    expect(parsePart("k8s/4", { JOB_COMPLETION_INDEX: "0" }).no).toBe(1);
    expect(parsePart("k8s/4", { JOB_COMPLETION_INDEX: "3" }).no).toBe(4);
    expect(() => parsePart("k8s/4", { JOB_COMPLETION_INDEX: "4" })).toThrow(refused(/no part 5 of 4/));
  });

  test("an engine that has said nothing is named", () => {
    expect(() => parsePart("slurm/4", {})).toThrow(refused(/SLURM_ARRAY_TASK_ID is not set/));
    expect(() => parsePart("k8s/4", {})).toThrow(refused(/JOB_COMPLETION_INDEX is not set/));
    expect(() => parsePart("k8s/4", { JOB_COMPLETION_INDEX: "two" })).toThrow(refused(/is not set/));
  });
});

describe("what a part does", () => {
  const shares = (works: readonly number[], count: number) =>
    Array.from({ length: count }, (_, i) => shareOf(works, { no: i + 1, count }));

  test.each([
    ["alike", Array.from({ length: 100 }, () => 5)],
    ["one that is larger than all others", [1, 1, 90, 1, 1]],
    ["none", []],
    ["nothing to do", [0, 0, 0]],
    ["growing", Array.from({ length: 37 }, (_, i) => i)],
  ])("every item is of one part: %s", (_, works) => {
    for (const count of [1, 2, 3, 7, 16, 200]) {
      let at = 0;
      for (const { first, end } of shares(works, count)) {
        if (first === end) continue;
        expect(first).toBe(at);
        at = end;
      }
      expect(at).toBe(works.length);
    }
  });

  test("about as much work as every other part's", () => {
    expect(shares([1, 1, 1, 1, 1, 1], 3)).toEqual([
      { first: 0, end: 2 },
      { first: 2, end: 4 },
      { first: 4, end: 6 },
    ]);
    expect(shares([8, 1, 1, 1, 1, 4], 2)).toEqual([
      { first: 0, end: 1 },
      { first: 1, end: 6 },
    ]);
  });
});
