import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Lock, lockOfTheDead, tryLock, withLock } from "../../src/run/write/lock.js";
import { scratchFolder } from "../support/scratch.js";

const scratch = scratchFolder();
let locks = 0;

/** What a lock of this very process says. */
const own = (() => {
  const path = join(scratch, "own");
  const lock = tryLock(path) as Lock;
  const text = readFileSync(path, "utf8");
  lock.release();
  return JSON.parse(text);
})();

/** Whether a lock that says so, and gave its last sign of life so many seconds ago, can be taken; or whose it is. */
function taken(text: string, age: number): unknown {
  const path = join(scratch, `lock-${locks++}`);
  writeFileSync(path, text);
  const then = Date.now() / 1000 - age;
  utimesSync(path, then, then);
  const lock = tryLock(path);
  if (!("release" in lock)) {
    expect(readFileSync(path, "utf8")).toBe(text);
    return lock.owner;
  }
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid, place: own.place });
  expect(existsSync(`${path}.stale`)).toBe(false);
  lock.release();
  expect(existsSync(path)).toBe(false);
  return "taken";
}

describe("a lock that is there", () => {
  const elsewhere = { ...own, place: "another machine" };
  /** A number that no process has: the largest is 2^22. */
  const gone = { ...own, pid: 2 ** 22 + 1 };
  // biome-ignore format: columns
  test.each<[what: string, record: unknown, age: number, whose: unknown]>([
    ["of this process",                            own,                      1000, own],
    ["of a process that has gone",                 gone,                     0,    "taken"],
    ["of an earlier process of this number",       { ...own, start: "1" },   0,    "taken"],
    ["of another machine, silent for half a minute", elsewhere,              30,   elsewhere],
    ["of another machine, silent for longer",      elsewhere,                90,   "taken"],
    ["in which nothing is written yet",            undefined,                0,    undefined],
    ["in which nothing was written for long",      undefined,                10,   "taken"],
    ["that something else wrote just now",         { place: "x" },           10,   undefined],
    ["that something else left",                   { place: "x" },           90,   "taken"],
    ["without a process",                          { ...gone, pid: 0 },      10,   undefined],
    ["of half a process",                          { ...gone, pid: 1.5 },    10,   undefined],
    ["without a beginning",                        { ...gone, start: 7 },    10,   undefined],
  ])("%s", (_, record, age, whose) => {
    expect(taken(record === undefined ? "" : JSON.stringify(record), age)).toEqual(whose);
  });

  test("that is no JSON", () => {
    expect([taken("llq", 10), taken("llq", 90)]).toEqual([undefined, "taken"]);
  });

  test.each([
    ["a folder", (path: string) => mkdirSync(path)],
    ["larger than any", (path: string) => writeFileSync(path, "x".repeat(4097))],
  ])("%s is none", (_, make) => {
    const path = join(scratch, `lock-${locks++}`);
    make(path);
    expect(() => tryLock(path)).toThrow(`${path}: is no lock of llq`);
  });
});

test("one after the other, in a folder that is made, until the work is done or has failed", async () => {
  const path = join(scratch, "some", "folder", "lock");
  const order: string[] = [];
  const first = withLock(path, undefined, async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    order.push("first");
    throw new Error("failed");
  });
  const second = withLock(path, undefined, async () => order.push("second"));
  await expect(first).rejects.toThrow("failed");
  expect(await second).toBe(2);
  expect(order).toEqual(["first", "second"]);
  expect(existsSync(path)).toBe(false);
});

test("waiting ends when it is told to", async () => {
  const path = join(scratch, "held");
  const held = tryLock(path) as Lock;
  const stop = new AbortController();
  const waiting = withLock(path, stop.signal, async () => "done");
  stop.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  held.release();
  // A release that comes late takes no other's lock.
  const next = tryLock(path) as Lock;
  writeFileSync(path, "another");
  next.release();
  expect(readFileSync(path, "utf8")).toBe("another");
});

test("a place where no folder can be made is named", async () => {
  const file = join(scratch, "file");
  writeFileSync(file, "");
  await expect(withLock(join(file, "in", "lock"), undefined, async () => 1)).rejects.toThrow(file);
});

describe("who waits for an owner that may have been killed", () => {
  const elsewhere = { ...own, place: "another machine" };
  const told = new AbortController();
  told.abort(new Error("stopped"));
  /** A lock that says so, and gave its last sign of life so many seconds ago. */
  const left = (text: string, age: number) => {
    const path = join(scratch, `lock-${locks++}`);
    writeFileSync(path, text);
    const then = Date.now() / 1000 - age;
    utimesSync(path, then, then);
    return path;
  };

  test("takes what is free, or whose owner is gone, at once", async () => {
    for (const path of [join(scratch, "free"), left(JSON.stringify({ ...own, start: "1" }), 0)]) {
      const lock = (await lockOfTheDead(path, told.signal)) as Lock;
      lock.release();
      expect(existsSync(path)).toBe(false);
    }
  });

  test("is told at once of one on this machine, which can be seen to live", async () => {
    const path = left(JSON.stringify(own), 30);
    expect(await lockOfTheDead(path, told.signal)).toEqual({ owner: own });
  });

  test.each([
    ["on another machine", JSON.stringify(elsewhere)],
    ["that cannot be told yet", ""],
    ["that something else wrote", "{}"],
  ])("waits for one %s until it is told not to", async (_, text) => {
    const path = left(text, 1);
    await expect(lockOfTheDead(path, told.signal)).rejects.toThrow("stopped");
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("is told of one on another machine that gives a sign of life", async () => {
    const path = left(JSON.stringify(elsewhere), 30);
    const waiting = lockOfTheDead(path, undefined);
    utimesSync(path, Date.now() / 1000, Date.now() / 1000);
    expect(await waiting).toEqual({ owner: elsewhere });
  });

  test("takes the lock of one on another machine that is let go", async () => {
    const path = left(JSON.stringify(elsewhere), 30);
    const waiting = lockOfTheDead(path, undefined);
    rmSync(path);
    const lock = (await waiting) as Lock;
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid, place: own.place });
    lock.release();
  });
});
