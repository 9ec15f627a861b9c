import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { openContainer } from "../../formats/open.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { executePart } from "../../src/run/parts/file.js";
import { WorkerPool } from "../../src/run/threads/pool.js";
import { checkOutputs, claimOutputs } from "../../src/run/write/claim.js";
import { execute } from "../../src/run/write/execute.js";
import { Flusher, writeOutput } from "../../src/run/write/output.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// Disks that are full, that lie, and descriptors that others get: what the system does is changed here, for this file alone.

const disk = vi.hoisted(() => ({
  /** Bytes free. */
  free: undefined as number | undefined,
  /** Whether a bit of what is written is lost. */
  lies: false,
  /** The error of a file that is opened to be written only. */
  refuses: undefined as string | undefined,
  /** The output's descriptor. */
  output: undefined as number | undefined,
  /** What came to its end, in order. */
  events: [] as string[],
}));

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    statfsSync: (path: string) => {
      const real = fs.statfsSync(path);
      return disk.free === undefined ? real : { ...real, bsize: 1, bavail: disk.free };
    },
    writeSync: (fd: number, bytes: Uint8Array, ...rest: number[]) => {
      const written = disk.lies ? bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) : bytes;
      return fs.writeSync(fd, written, ...rest);
    },
    openSync: (path: string, flags?: string | number, mode?: number) => {
      const isForWriting = typeof flags === "number" && (flags & 3) === fs.constants.O_WRONLY;
      if (disk.refuses !== undefined && isForWriting)
        throw Object.assign(new Error("refused"), { code: disk.refuses });
      const fd = fs.openSync(path, flags ?? "r", mode);
      if (path.endsWith(".partial")) disk.output = fd;
      return fd;
    },
    closeSync: (fd: number) => {
      if (fd === disk.output) disk.events.push("output");
      fs.closeSync(fd);
    },
  };
});

const folder = scratchFolder();
const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q8_0"));
beforeEach(() => {
  disk.free = undefined;
  disk.lies = false;
  disk.refuses = undefined;
  disk.output = undefined;
  disk.events.length = 0;
});

describe("a disk without room", () => {
  test("is told before any work, to the byte", async () => {
    const output = join(folder, "full.gguf");
    disk.free = plan.byteLength - 1;
    await expect(execute(plan, output, { threads: 0 })).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringMatching(RegExp(`needs ${plan.byteLength} bytes, but .* has ${disk.free} free$`)),
    });
    expect(readdirSync(folder)).toEqual([]);
    disk.free = plan.byteLength;
    checkOutputs([output], { byteLength: plan.byteLength });
  });

  test("has room for what is there of the output already", () => {
    const output = join(folder, "half.gguf");
    writeFileSync(`${output}.partial`, Buffer.alloc(1 << 20, 1));
    disk.free = 1000;
    checkOutputs([output], { byteLength: (1 << 20) + 1000 });
    expect(() => checkOutputs([output], { byteLength: 4 << 20 })).toThrow(/needs 4194304 bytes/);
  });
});

describe("a disk that lies", () => {
  test("about a tensor: what reads back otherwise is found before the file has its name", async () => {
    const output = join(folder, "lies.gguf");
    // A megabyte is lost when all was written.
    const onProgress = (done: number, total: number) => {
      if (done < total) return;
      const bytes = readFileSync(`${output}.partial`);
      writeFileSync(`${output}.partial`, bytes.fill(0, 1_000_000, 2_000_000));
    };
    await expect(execute(plan, output, { threads: 0, onProgress })).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringMatching(/lies\.gguf: tensor .* reads back other than it was written$/),
    });
    expect(existsSync(output)).toBe(false);
  });

  test("about a file that is written at once", () => {
    const output = join(folder, "lies.json");
    const claim = claimOutputs([output], {});
    disk.lies = true;
    expect(() => writeOutput(output, Buffer.from("precious"), false)).toThrow(
      `${output}: reads back other than it was written`,
    );
    expect(existsSync(output) || existsSync(`${output}.partial`)).toBe(false);
    disk.lies = false;
    writeOutput(output, Buffer.from("precious"), false);
    claim.release();
    expect(readFileSync(output, "utf8")).toBe("precious");
  });
});

test.each([
  ["EACCES", "no-space", "cannot be written (EACCES)"],
  ["EDQUOT", "no-space", "the disk is full"],
  ["EMFILE", "system", "cannot be written (EMFILE)"],
])("a part whose file cannot be opened to be written (%s) says so", async (code, kind, words) => {
  const output = join(folder, `${code}.gguf`);
  const part = () => executePart(plan, output, { no: 2, count: 2 }, { threads: 0 });
  disk.refuses = code;
  await expect(part()).rejects.toMatchObject({ code: kind, message: `${output}.partial: ${words}` });
  // what was opened to be read is closed: the lock, which is read again to let it go, has its number
  expect(disk.events).toEqual(["output", "output"]);
  disk.refuses = undefined;
  expect(await part()).toMatchObject({ resumed: 0 });
});

// The next file to be opened gets the number of one that was closed: what a thread still writes to it would go there.
test("the output is closed when the threads have ended and the disk has taken what it was given", async () => {
  const [close, stop] = [WorkerPool.prototype.close, Flusher.prototype.stop];
  const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  vi.spyOn(WorkerPool.prototype, "close").mockImplementation(async function (this: WorkerPool) {
    await close.call(this);
    await later(200);
    disk.events.push("threads");
  });
  vi.spyOn(Flusher.prototype, "stop").mockImplementation(async function (this: Flusher) {
    await stop.call(this);
    await later(50);
    disk.events.push("flusher");
  });
  // A weight that is no number ends one thread's job while the other writes.
  const model = copyTinyLlama(folder, "nan");
  const file = join(model, "model.safetensors");
  const { offset } = openContainer(file).tensors.get("model.layers.2.mlp.up_proj.weight")!;
  const bytes = readFileSync(file);
  bytes.writeUInt16LE(0x7fc0, offset);
  writeFileSync(file, bytes);
  const damaged = planQuantize(openModel(model), findRecipe("Q8_0"));
  const work = execute(damaged, join(folder, "closed.gguf"), { threads: 2 });
  await expect(work).rejects.toMatchObject({ code: "bad-input" });
  vi.restoreAllMocks();
  const [threads, flusher, output] = ["threads", "flusher", "output"].map((each) =>
    disk.events.indexOf(each),
  );
  expect(threads).toBeGreaterThanOrEqual(0);
  expect(flusher).toBeGreaterThanOrEqual(0);
  expect(output).toBeGreaterThan(Math.max(threads!, flusher!));
});
