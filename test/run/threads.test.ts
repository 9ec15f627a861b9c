import { describe, expect, test } from "vitest";
import { LlqError } from "../../formats/errors.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import {
  aboutRows,
  errorFromData,
  errorToData,
  type JobKind,
  runJob,
} from "../../src/run/threads/messages.js";
import { WorkerPool } from "../../src/run/threads/pool.js";

/** Says what it was given. */
const echo: JobKind<unknown, unknown> = { name: "echo", run: (job) => job, about: () => "nothing" };
/** None of those that threads know. */
const unknown: JobKind<unknown, unknown> = { ...echo, name: "nothing of ours" };

describe("errors on their way between threads", () => {
  const there = (error: unknown) => errorFromData(structuredClone(errorToData(error)));

  test("of ours stay what they are", () => {
    const back = there(new LlqError("bad-input", "a.gguf: damaged", { hint: "fetch it again" }));
    expect(back).toBeInstanceOf(LlqError);
    expect(back).toMatchObject({ code: "bad-input", message: "a.gguf: damaged", hint: "fetch it again" });
  });

  test("bugs keep where they were", () => {
    const bug = new TypeError("x is undefined");
    const back = there(bug);
    expect(back).not.toBeInstanceOf(LlqError);
    expect([back.message, back.stack]).toEqual([bug.message, bug.stack]);
  });

  test("what is no error is text", () => {
    const back = there("gone");
    expect(back.message).toBe("gone");
    expect(back.stack).toMatch(/^Error: gone\n/);
  });
});

test("rows are counted from 0 to the last", () => {
  expect(aboutRows({ name: "w" }, 4, 3)).toBe("tensor w, rows 4 to 6");
});

test("a kernel that traps says in what, another error is let through", () => {
  const kernels = {} as Kernels;
  const cause = new WebAssembly.RuntimeError("unreachable");
  const failing = (error: Error): JobKind<unknown, unknown> => ({
    ...{ name: "encode", about: () => "tensor w, rows 0 to 3" },
    run: () => {
      throw error;
    },
  });
  const trap = (() => {
    try {
      return runJob(failing(cause), undefined, kernels);
    } catch (error) {
      return error as Error;
    }
  })() as Error;
  expect(trap.message).toMatch(
    /^llq \S+, Node v\d+\.\d+\.\d+ on \w+: a kernel trapped \(unreachable\) in the job encode, tensor w, rows 0 to 3$/,
  );
  expect(trap.cause).toBe(cause);
  const other = new RangeError("other");
  expect(() => runJob(failing(other), undefined, kernels)).toThrow(other);
});

describe("a pool", () => {
  test("without threads does each job here, and none once it is closed", async () => {
    const pool = new WorkerPool(0);
    expect(await pool.run(echo, 7)).toBe(7);
    expect(await pool.runOnEach(echo, [1, 2])).toEqual([1, 2]);
    const late = pool.run(echo, 8);
    await pool.close();
    const stopped = { code: "interrupted", message: "the work was stopped" };
    await expect(late).rejects.toMatchObject(stopped);
    await expect(pool.run(echo, 9)).rejects.toMatchObject(stopped);
    await expect(pool.runOnEach(echo, [9])).rejects.toMatchObject(stopped);
  });

  test("with threads hands errors on, and refuses what cannot be sent", async () => {
    const pool = new WorkerPool(2);
    const all = [
      pool.run(unknown, 1),
      pool.run(unknown, () => 2),
      ...[3, 4, 5, 6].map((n) => pool.run(unknown, n)),
    ];
    for (const { status } of await Promise.allSettled(all)) expect(status).toBe("rejected");
    await expect(all[1]).rejects.toThrow(/could not be cloned/);
    await expect(pool.runOnEach(unknown, [1, 2])).rejects.toThrow();
    const waiting = [...Array(9).keys()].map((n) => pool.run(unknown, n));
    const ends = Promise.allSettled(waiting);
    await pool.close();
    for (const { status } of await ends) expect(status).toBe("rejected");
    await expect(pool.run(unknown, 9)).rejects.toMatchObject({ code: "interrupted" });
    await expect(pool.runOnEach(unknown, [9, 9])).rejects.toMatchObject({ code: "interrupted" });
  });
});
