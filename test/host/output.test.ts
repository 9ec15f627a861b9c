import { afterEach, describe, expect, test } from "vitest";
import { abilities } from "../../src/browser/abilities.js";
import { openOutput } from "../../src/browser/output.js";
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  writeSync,
} from "../../src/host/browser/files.js";
import { installDoubles, type Ways } from "./doubles.js";

// Browsers that lack something, by doubles of what llq/browser asks them for: no Firefox and no Safari was run here.

let installed: ReturnType<typeof installDoubles> | undefined;
const browser = (ways: Ways) => {
  installed = installDoubles(ways);
  return installed;
};
afterEach(() => {
  installed?.remove();
  installed = undefined;
});

const BYTES = Uint8Array.from({ length: 3000 }, (_, i) => i % 251);

/** What execute does with an output: its length, its bytes, the disk, its name. */
function write(path: string): void {
  const fd = openSync(`${path}.partial`, 66, 0o666);
  ftruncateSync(fd, BYTES.length);
  for (let done = 0; done < BYTES.length; ) done += writeSync(fd, BYTES, done, 1000, done);
  fsyncSync(fd);
  closeSync(fd);
  renameSync(`${path}.partial`, path);
}

const private_ = { kind: "opfs", name: "out.gguf" } as const;

describe("an output", () => {
  test.each<[string, Ways]>([
    ["where files can be renamed", {}],
    ["where they cannot, it is copied", { move: false }],
    ["in Safari before 26, which writes no streams", { createWritable: false }],
  ])("in the private file system %s", async (_, ways) => {
    const { names } = browser(ways);
    const output = await openOutput(private_, BYTES.length, false);
    write(output.path);
    const file = await output.publish();
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(BYTES);
    expect(file.name).toBe("out.gguf");
    expect(names()).toEqual(["out.gguf"]);
    await expect(openOutput(private_, 1, false)).rejects.toMatchObject({ code: "usage" });
    const again = await openOutput(private_, BYTES.length, true);
    write(again.path);
    expect((await again.publish()).size).toBe(BYTES.length);
  });

  test("in memory, and where there is no private file system", async () => {
    browser({ syncAccess: false });
    expect(await abilities()).toMatchObject({ privateFiles: false, memory: undefined, sharedMemory: false });
    await expect(openOutput(private_, 1, false)).rejects.toMatchObject({
      code: "unsupported",
      hint: "write it to memory",
    });
    const output = await openOutput({ kind: "memory", name: "out.gguf" }, BYTES.length, false);
    write(output.path);
    const file = await output.publish();
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(BYTES);
  });

  test("in a file that the user chose, by way of the private file system", async () => {
    const { names } = browser({});
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle("chosen.gguf", { create: true });
    const output = await openOutput({ kind: "handle", handle }, BYTES.length, false);
    write(output.path);
    const file = await output.publish();
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(BYTES);
    expect(names()).toEqual(["chosen.gguf"]);
  });

  test("that another tab has open is refused, and stays", async () => {
    const { names } = browser({});
    await openOutput(private_, BYTES.length, false);
    await expect(openOutput(private_, BYTES.length, false)).rejects.toMatchObject({
      code: "usage",
      message: "out.gguf: is being written by another tab",
    });
    expect(names()).toEqual(["out.gguf.partial"]);
  });

  test("that was not wanted to the end is gone", async () => {
    const { names } = browser({});
    const output = await openOutput(private_, BYTES.length, false);
    write(output.path);
    await output.discard();
    expect(names()).toEqual([]);
  });
});

describe("no room", () => {
  test("that the browser tells before", async () => {
    const { names } = browser({ quota: 2999 });
    await expect(openOutput(private_, BYTES.length, false)).rejects.toMatchObject({
      code: "no-space",
      message: "out.gguf: needs 3000 bytes, but the browser lets this page keep 2999 more",
    });
    expect(names()).toEqual([]);
  });

  test.each<[string, Ways]>([
    ["which is told by a number of bytes below zero", { quota: 2999, full: "minus 8" }],
    ["which is told by no bytes", { quota: 2999, full: "nothing" }],
    ["off the record, where writes are counted and nothing is kept", { forgets: true }],
  ])("in the midst of it, %s", async (_, ways) => {
    browser(ways);
    const output = await openOutput(private_, BYTES.length, false);
    expect(() => write(output.path)).toThrow(/ENOSPC/);
    await output.discard();
  });
});
