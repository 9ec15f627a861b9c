import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { execute, executeParts } from "../../src/run/write/execute.js";
import { tryLock } from "../../src/run/write/lock.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const LOCK = new URL("../../dist/src/run/write/lock.js", import.meta.url).pathname;
const plan = (type = "Q8_0", model = TINY_LLAMA) => planQuantize(openModel(model), findRecipe(type));
const hasFifos = spawnSync("mkfifo", [join(folder, "fifo")]).status === 0;

/** A process that takes a lock and then does as told: ends, or waits. */
function locker(path: string, then: "ends" | "waits") {
  const code = `import { tryLock } from ${JSON.stringify(LOCK)};
    tryLock(${JSON.stringify(path)}); console.log("taken"); ${then === "ends" ? "process.exit()" : "setInterval(() => {}, 1000)"}`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

describe("one writer a file", () => {
  test("of two runs in one process the second is refused and the first is whole", async () => {
    const output = join(folder, "twice.gguf");
    const [first, second] = await Promise.allSettled([
      execute(plan("Q8_0"), output, { threads: 1 }),
      execute(plan("Q4_0"), output, { threads: 1, force: true }),
    ]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({
      reason: { code: "usage", message: `${output}: is to be written twice at once` },
    });
    const alone = join(folder, "alone.gguf");
    await execute(plan("Q8_0"), alone, { threads: 1 });
    expect(readFileSync(output).equals(readFileSync(alone))).toBe(true);
  });

  test("another process is named; once it is gone, its lock is nobody's", async () => {
    const output = join(folder, "other.gguf");
    const child = locker(`${output}.partial.lock`, "waits");
    await once(child.stdout, "data");
    writeFileSync(`${output}.partial`, "of the other");
    await expect(execute(plan(), output, { threads: 0, force: true })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(`other.gguf: is being written by process ${child.pid} on .*, since 2`),
    });
    expect(readFileSync(`${output}.partial`, "utf8")).toBe("of the other");
    child.kill("SIGKILL");
    await once(child, "exit");
    await execute(plan(), output, { threads: 0 });
    expect(readdirSync(folder).filter((name) => name.startsWith("other"))).toEqual(["other.gguf"]);
  });

  test("a process number that is another's now, or a machine that is silent, holds no lock", async () => {
    const path = join(folder, "lock");
    const child = locker(path, "ends");
    await once(child, "exit");
    const owner = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...owner, pid: process.ppid, start: "1" }));
    const lock = tryLock(path);
    expect(lock).toHaveProperty("release");
    (lock as { release: () => void }).release();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, JSON.stringify({ ...owner, place: "elsewhere" }));
    expect(tryLock(path)).toMatchObject({ owner: { place: "elsewhere" } });
    utimesSync(path, 1, 1);
    expect(tryLock(path)).toHaveProperty("release");
  });

  test("what has another file in its partial name's place gets no name", async () => {
    const output = join(folder, "replaced.gguf");
    const onProgress = (done: number, total: number) => {
      if (done < total) return;
      renameSync(`${output}.partial`, `${output}.aside`);
      cpSync(`${output}.aside`, `${output}.partial`);
    };
    const work = execute(plan(), output, { threads: 1, onProgress });
    await expect(work).rejects.toThrow(/another process has put something else in its place/);
    expect(existsSync(output)).toBe(false);
  });

  test("an output that has appeared meanwhile is not replaced without force", async () => {
    const output = join(folder, "appeared.gguf");
    const onProgress = (done: number, total: number) => {
      if (done === total) writeFileSync(output, "precious");
    };
    await expect(execute(plan(), output, { threads: 1, onProgress })).rejects.toThrow(/exists already/);
    expect(readFileSync(output, "utf8")).toBe("precious");
  });

  test("of a split model that is replaced, the first part is there only with all of the same", async () => {
    const output = join(folder, "split.gguf");
    const parts = splitBySize(plan(), output, 1_000_000);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) writeFileSync(part.output, "old");
    mkdirSync(join(folder, "full"), { recursive: true });
    const last = parts.at(-1)!.output;
    const onProgress = (done: number, total: number) => {
      if (done === total) renameSync(`${parts[1]!.output}.partial`, join(folder, "full", "away"));
    };
    await expect(executeParts(parts, { threads: 1, force: true, onProgress })).rejects.toThrow(
      /something else/,
    );
    expect(existsSync(parts[0]!.output)).toBe(false);
    expect(readFileSync(last, "utf8")).not.toBe("old");
  });

  test("what a run left that was killed as it broke a lock goes with the next lock, if its owner is gone", () => {
    const path = join(folder, "left.lock");
    const owner = { place: "elsewhere", pid: 1, start: "1", since: new Date().toISOString() };
    const take = (ageSeconds: number) => {
      writeFileSync(`${path}.stale`, JSON.stringify(owner));
      utimesSync(`${path}.stale`, Date.now() / 1000 - ageSeconds, Date.now() / 1000 - ageSeconds);
      const lock = tryLock(path);
      if ("release" in lock) lock.release();
      return { lock, stays: existsSync(`${path}.stale`) };
    };
    expect(take(0)).toMatchObject({ lock: { release: expect.anything() }, stays: true });
    expect(take(120)).toMatchObject({ lock: { release: expect.anything() }, stays: false });
  });
});

describe("no link is followed, and nothing but files is written", () => {
  test.each([".partial", ".partial.journal", ".partial.lock", ""])(
    "a link in the place of <output>%s",
    async (suffix) => {
      const victim = join(folder, `victim${suffix}`);
      writeFileSync(victim, "mine");
      const output = join(folder, `linked${suffix}.gguf`);
      symlinkSync(victim, `${output}${suffix}`);
      const work = execute(plan(), output, { threads: 0, force: true, resume: true });
      await expect(work).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/link|no lock/),
      });
      expect(readFileSync(victim, "utf8")).toBe("mine");
      expect(lstatSync(`${output}${suffix}`).isSymbolicLink()).toBe(true);
    },
  );

  test("a link to nothing is a link too", async () => {
    const output = join(folder, "dangling.gguf");
    symlinkSync(join(folder, "nothing"), output);
    await expect(execute(plan(), output, { threads: 0 })).rejects.toThrow(/is a symbolic link/);
    expect(existsSync(join(folder, "nothing"))).toBe(false);
  });

  test.skipIf(!hasFifos)("a FIFO, a folder, a device", async () => {
    for (const output of [join(folder, "fifo"), folder, "/dev/null"]) {
      await expect(execute(plan(), output, { threads: 0, force: true })).rejects.toMatchObject({
        code: "usage",
        message: expect.stringMatching(/is not a regular file/),
      });
    }
  });
});

describe("a source that changes under the run", () => {
  test.each([
    ["grows", (file: string) => appendFileSync(file, "more")],
    ["is written again", (file: string) => utimesSync(file, 1, 1)],
    [
      "is replaced",
      (file: string) => {
        cpSync(file, `${file}.new`, { preserveTimestamps: true });
        renameSync(`${file}.new`, file);
      },
    ],
  ])("%s", async (name, change) => {
    const model = copyTinyLlama(folder, name);
    const output = join(folder, `${name}.gguf`);
    const onProgress = (done: number, total: number) => {
      if (done === total) change(join(model, "model.safetensors"));
    };
    await expect(execute(plan("Q8_0", model), output, { threads: 1, onProgress })).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(/model.safetensors: has changed while it was read/),
    });
    expect(readdirSync(folder).filter((each) => each.startsWith(`${name}.gguf`))).toEqual([]);
  });
});
