import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { LlqError } from "../../../formats/errors.js";
import { openModel } from "../../../src/model.js";
import { type Plan, planQuantize } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../../src/quant/split.js";
import { executePart } from "../../../src/run/parts/file.js";
import { executeFiles, finishFiles } from "../../../src/run/parts/files.js";
import { finishFile } from "../../../src/run/parts/finish-file.js";
import { encodeFrame } from "../../../src/run/parts/frames.js";
import { gatherParts } from "../../../src/run/parts/gather.js";
import { PartRecord, readRecord, recordPath } from "../../../src/run/parts/record.js";
import { execute, executeParts } from "../../../src/run/write/execute.js";
import { openForWriting, openPartial } from "../../../src/run/write/output.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../../support/scratch.js";

const folder = scratchFolder();
const LOCK = new URL("../../../dist/src/run/write/lock.js", import.meta.url).pathname;
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const planOf = (type: string, model = TINY_LLAMA) => planQuantize(openModel(model), findRecipe(type));
const finish = (output: string) => finishFile(output, gatherParts(output), { threads: 0 });
const refused = (words: RegExp) => ({ code: "usage", message: expect.stringMatching(words) });
const part = (plan: Plan, output: string, no: number, count: number, options: object = {}) =>
  executePart(plan, output, { no, count }, { threads: 0, ...options });

/** Stops in the middle, as Ctrl-C does. */
async function half(plan: Plan, output: string, no: number, count: number): Promise<void> {
  const controller = new AbortController();
  const onProgress = (done: number, total: number) => {
    if (done >= total / 3) controller.abort(new LlqError("interrupted", "stopped"));
  };
  const work = part(plan, output, no, count, { onProgress, signal: controller.signal });
  await expect(work).rejects.toMatchObject({ code: "interrupted" });
}

/** As the parts of this output note it. */
async function fingerprintOfPart(output: string): Promise<string> {
  const other = `${output}.other`;
  await part(planOf("Q4_K_M"), other, 1, 4);
  const { fingerprint } = readRecord(recordPath(other, { no: 1, count: 4 }));
  return fingerprint;
}

let whole: string;
beforeAll(async () => {
  // whose bytes are llama-quantize's: quantize.test.ts
  whole = join(folder, "whole.gguf");
  await execute(planOf("Q4_K_M"), whole, { threads: 0 });
});

describe("one file in parts", () => {
  test.each([1, 2, 3, 7, 16])(
    "%s of them, in any order, on some threads, make what one run makes",
    async (count) => {
      const output = join(folder, `of-${count}.gguf`);
      const numbers = Array.from({ length: count }, (_, i) => ((i * 5 + 3) % count) + 1);
      expect(new Set(numbers).size).toBe(count);
      for (const no of numbers) await part(planOf("Q4_K_M"), output, no, count, { threads: no % 2 });
      const { parts, tensors } = await finish(output);
      expect(sha256(output)).toBe(sha256(whole));
      expect(parts).toBe(count);
      expect(tensors).toHaveLength(planOf("Q4_K_M").tensors.length);
      expect(readdirSync(folder).filter((name) => name.startsWith(`of-${count}.gguf.`))).toEqual([]);
    },
  );

  test("a part that was stopped goes on; one that is done does nothing twice", async () => {
    const output = join(folder, "stopped.gguf");
    await half(planOf("Q4_K_M"), output, 2, 2);
    expect(() => gatherParts(output)).toThrow(expect.objectContaining(refused(/part 1 of 2 is not there/)));
    await part(planOf("Q4_K_M"), output, 1, 2);
    expect(() => gatherParts(output)).toThrow(
      expect.objectContaining(refused(/part 2 of 2 is not complete/)),
    );
    const again = await part(planOf("Q4_K_M"), output, 2, 2);
    expect(again.resumed).toBeGreaterThan(0);
    expect(again.resumed).toBeLessThan(again.elements);
    const once = await part(planOf("Q4_K_M"), output, 2, 2);
    expect(once.resumed).toBe(once.elements);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("what was cut off in the middle of a note is as good as not done", async () => {
    const output = join(folder, "cut.gguf");
    await half(planOf("Q4_K_M"), output, 1, 1);
    const path = recordPath(output, { no: 1, count: 1 });
    writeFileSync(path, readFileSync(path).subarray(0, -5));
    expect(readRecord(path).seconds).toBeUndefined();
    await part(planOf("Q4_K_M"), output, 1, 1);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("bytes that are not as noted are found, and the part that wrote them does them anew", async () => {
    const output = join(folder, "spoilt.gguf");
    const plan = planOf("Q4_K_M");
    for (const no of [1, 2]) await part(plan, output, no, 2);
    const fd = openSync(`${output}.partial`, "r+");
    writeSync(fd, Buffer.from([1, 2, 3, 4]), 0, 4, plan.byteLength - 1000);
    closeSync(fd);
    const message = expect.stringMatching(/from byte \d+ it is not what part 2\/2 has written/);
    await expect(finish(output)).rejects.toMatchObject({ code: "no-space", message });
    expect(existsSync(output)).toBe(false);
    const again = await part(plan, output, 2, 2);
    expect(again.resumed).toBeLessThan(again.elements);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("what an older file has left between tensors does not show", async () => {
    const output = join(folder, "between.gguf");
    writeFileSync(`${output}.partial`, Buffer.alloc(planOf("Q4_K_M").byteLength + 99, 0xab));
    await part(planOf("Q4_K_M"), output, 1, 1);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("nothing to finish, or not all of it", async () => {
    const output = join(folder, "early.gguf");
    await expect(async () => gatherParts(output)).rejects.toMatchObject(refused(/no part of it is there/));
    await part(planOf("Q8_0"), output, 3, 4);
    await expect(async () => gatherParts(output)).rejects.toMatchObject(
      refused(/parts 1, 2, 4 of 4 are not there/),
    );
    rmSync(`${output}.partial`);
    for (const no of [1, 2, 4]) await part(planOf("Q8_0"), output, no, 4);
    await expect(finish(output)).rejects.toMatchObject({ code: "no-space" });
    expect(existsSync(output)).toBe(false);
    await part(planOf("Q8_0"), output, 3, 4);
    await finish(output);
    await expect(async () => gatherParts(output)).rejects.toMatchObject(refused(/no part of it is there/));
  });

  test("an output that exists is not replaced unless that is said", async () => {
    const output = join(folder, "exists.gguf");
    await part(planOf("Q8_0"), output, 1, 1);
    writeFileSync(output, "mine");
    await expect(part(planOf("Q8_0"), output, 1, 1)).rejects.toMatchObject(refused(/exists already/));
    await expect(finish(output)).rejects.toMatchObject(refused(/exists already/));
    expect(readFileSync(output, "utf8")).toBe("mine");
    await finishFile(output, gatherParts(output), { threads: 0, force: true });
    expect(readFileSync(output).length).toBe(planOf("Q8_0").byteLength);
  });
});

describe("a finish that was killed when the file had its name", () => {
  const named = async (name: string) => {
    const output = join(folder, name);
    await part(planOf("Q4_K_M"), output, 1, 1);
    const path = recordPath(output, { no: 1, count: 1 });
    const record = readFileSync(path);
    await finish(output);
    writeFileSync(path, record);
    return { output, path };
  };

  test("is made good by another", async () => {
    const { output, path } = await named("named.gguf");
    const { parts } = await finish(output);
    expect(parts).toBe(1);
    expect(existsSync(path)).toBe(false);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("unless what has the name is another file", async () => {
    const { output, path } = await named("named-other.gguf");
    const bytes = readFileSync(output);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(output, bytes);
    await expect(finish(output)).rejects.toMatchObject(refused(/exists already/));
    expect(readFileSync(output).equals(bytes)).toBe(true);
    expect(existsSync(path)).toBe(true);
  });
});

test("a page of which another machine writes the rest is not read by who writes to it", () => {
  const path = join(folder, "pages");
  const fd = openPartial(path, 4096);
  const writer = openForWriting(path, fd);
  writeSync(writer, Buffer.from("mine"), 0, 4, 10);
  expect(() => readSync(writer, Buffer.alloc(4), 0, 4, 10)).toThrow("EBADF");
  const found = Buffer.alloc(4);
  readSync(fd, found, 0, 4, 10);
  expect(found.toString()).toBe("mine");
  rmSync(path);
  writeFileSync(path, "another's");
  expect(() => openForWriting(path, fd)).toThrow(
    expect.objectContaining(refused(/another process has put something else/)),
  );
  for (const each of [fd, writer]) closeSync(each);
});

describe("parts that do not belong together", () => {
  test("of another type, model or number of parts: named, and nothing is lost", async () => {
    const output = join(folder, "others.gguf");
    await part(planOf("Q8_0"), output, 1, 3);
    const before = readFileSync(`${output}.partial`);
    await expect(part(planOf("Q4_0"), output, 2, 3)).rejects.toMatchObject(
      refused(/part-1-of-3: is of other options/),
    );
    await expect(part(planOf("Q8_0"), output, 2, 4)).rejects.toMatchObject(
      refused(/is one of 3 parts, and this is part 2\/4/),
    );
    await expect(execute(planOf("Q8_0"), output, { threads: 0 })).rejects.toMatchObject(
      refused(/is being made in 3 parts/),
    );
    const model = copyTinyLlama(folder, "changed");
    const weights = join(model, "model.safetensors");
    const bytes = readFileSync(weights);
    for (let at = bytes.length - 200_001; at < bytes.length; at += 2) bytes[at]! ^= 0x80;
    writeFileSync(weights, bytes);
    await expect(part(planOf("Q8_0", model), output, 2, 3)).rejects.toMatchObject(
      refused(/is of other options/),
    );
    expect(readFileSync(`${output}.partial`).equals(before)).toBe(true);
  });

  test("a copy of the model elsewhere, of another time, is the same model", async () => {
    const output = join(folder, "copies.gguf");
    const model = copyTinyLlama(folder, "tiny-llama");
    utimesSync(join(model, "model.safetensors"), 1, 1);
    await part(planOf("Q4_K_M", model), output, 1, 2);
    await part(planOf("Q4_K_M"), output, 2, 2);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("two tasks with one number: the second is told who has it", async () => {
    const output = join(folder, "twice.gguf");
    const path = `${recordPath(output, { no: 1, count: 2 })}.lock`;
    const code = `import { tryLock } from ${JSON.stringify(LOCK)};
      tryLock(${JSON.stringify(path)}); console.log("taken"); setInterval(() => {}, 1000)`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await expect(part(planOf("Q8_0"), output, 1, 2)).rejects.toMatchObject(
      refused(new RegExp(`part 1/2 is being done by process ${child.pid}`)),
    );
    await part(planOf("Q8_0"), output, 2, 2);
    child.kill("SIGKILL");
    await once(child, "exit");
    await part(planOf("Q8_0"), output, 1, 2);
    await finish(output);
  });
});

describe("parts that run at the same time", () => {
  test("what the others note meanwhile is no input that changes", async () => {
    const output = join(folder, "at once.gguf");
    const cli = new URL("../../../dist/program/cli.js", import.meta.url).pathname;
    const run = async (no: number) => {
      const args = [cli, "quantize", TINY_LLAMA, "-o", output, "--type", "Q4_K_M", "--part", `${no}/4`, "-q"];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
      const [code] = await once(child, "exit");
      return code;
    };
    // the first has begun and grows until the last one ends: as another machine's, which is slower
    const first = PartRecord.create(recordPath(output, { no: 1, count: 4 }), {
      ...{ kind: "file", no: 1, count: 4, about: null },
      fingerprint: await fingerprintOfPart(output),
    });
    const growing = setInterval(() => first.add({ header: 0 }), 5);
    const codes = await Promise.all([2, 3, 4].map(run));
    clearInterval(growing);
    first.close();
    expect(codes).toEqual([0, 0, 0]);
    rmSync(recordPath(output, { no: 1, count: 4 }));
    expect(await run(1)).toBe(0);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("a part of which nothing can be read yet is waited for by finish alone", async () => {
    const output = join(folder, "begun.gguf");
    for (const bytes of ["", "llq_", "llq_part\x10"]) {
      writeFileSync(recordPath(output, { no: 1, count: 2 }), bytes);
      await part(planOf("Q4_K_M"), output, 2, 2);
      expect(() => gatherParts(output)).toThrow(
        expect.objectContaining(refused(/part 1 of 2 is not complete/)),
      );
    }
    await part(planOf("Q4_K_M"), output, 1, 2);
    await finish(output);
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("a name that says there are a thousand million parts is none of a part", async () => {
    const output = join(folder, "millions.gguf");
    writeFileSync(`${output}.part-1-of-999999999`, "");
    await expect(async () => gatherParts(output)).rejects.toMatchObject(refused(/no part of it is there/));
  });
});

describe("a model in several files", () => {
  const parts = (output: string) => splitBySize(planOf("Q4_K_M"), output, 400_000);
  const some = (output: string, no: number, count: number) =>
    executeFiles(parts(output), output, { no, count }, { threads: 0 });
  const finishAll = (output: string) => finishFiles(output, gatherParts(output), { threads: 0 });

  test.each([1, 2, 3, 16])("%s parts write what one run writes, each whole files", async (count) => {
    const [output, alone] = [join(folder, `split-${count}.gguf`), join(folder, `alone-${count}.gguf`)];
    await executeParts(parts(alone), { threads: 0 });
    for (let no = count; no >= 1; no--) await some(output, no, count);
    const { files } = await finishAll(output);
    expect(files.map((file) => sha256(file.output))).toEqual(parts(alone).map((each) => sha256(each.output)));
    expect(existsSync(recordPath(output, { no: 1, count }))).toBe(false);
  });

  test("files that are there stay; one that is lost or another is named", async () => {
    const output = join(folder, "kept.gguf");
    await some(output, 1, 2);
    const again = await some(output, 1, 2);
    expect(again.resumed).toBe(again.elements);
    await some(output, 2, 2);
    const first = parts(output)[0]!.output;
    const bytes = readFileSync(first);
    rmSync(first);
    await expect(finishAll(output)).rejects.toMatchObject(refused(/is not here/));
    writeFileSync(first, Buffer.from(bytes).fill(7, bytes.length - 8));
    await expect(finishAll(output)).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringMatching(/is not the file that part 1\/2 has written/),
    });
    writeFileSync(first, bytes);
    await finishAll(output);
  });
});

describe("records that are damaged or lie", () => {
  const record = (output: string, about: unknown, entries: readonly unknown[], kind = "file") => {
    const file = PartRecord.create(recordPath(output, { no: 1, count: 1 }), {
      ...{ kind, fingerprint: "f", no: 1, count: 1, about },
    });
    for (const entry of entries) file.add(entry);
    file.end();
    file.close();
  };
  const result = { byteLength: 32, checksum: 1, squaredError: 0, squaredSum: 0, maxError: 0 };
  const about = (tensor: object = {}) => ({
    ...{ recipe: "Q8_0", byteLength: 96, headerLength: 32, elements: 32 },
    tensors: [{ name: "t", dtype: "Q8_0", offset: 32, byteLength: 32, jobs: 1, ...tensor }],
  });

  test.each([
    ["nothing of a file", {}, [], /says nothing of a file/],
    ["no header", about(), [{ tensor: 0, job: 0, result }], /nobody has written the header/],
    [
      "a job too few",
      about({ jobs: 2 }),
      [{ header: 1 }, { tensor: 0, job: 0, result }],
      /no part has all of tensor t/,
    ],
    [
      "jobs without number",
      about({ jobs: 2 ** 50 }),
      [{ header: 1 }, { tensor: 0, job: 0, result }],
      /no part has all/,
    ],
    ["a job too many", about(), [{ header: 1 }, { tensor: 0, job: 7, result }], /a job that there is not/],
    ["a tensor too many", about(), [{ header: 1 }, { tensor: 7, job: 0, result }], /a job that there is not/],
    [
      "other lengths",
      about({ byteLength: 64 }),
      [{ header: 1 }, { tensor: 0, job: 0, result }],
      /has not the bytes/,
    ],
    [
      "a tensor over the header",
      about({ offset: 8 }),
      [{ header: 1 }, { tensor: 0, job: 0, result }],
      /do not make up a file/,
    ],
    [
      "a hole",
      { ...about(), byteLength: 2 ** 40 },
      [{ header: 1 }, { tensor: 0, job: 0, result }],
      /do not make up a file|\d+ bytes/,
    ],
  ])("%s", async (name, told, entries, words) => {
    const output = join(folder, `lies-${name}.gguf`);
    record(output, told, entries);
    writeFileSync(`${output}.partial`, "");
    await expect(finish(output)).rejects.toThrow(words);
    expect(existsSync(output)).toBe(false);
  });

  test("names that lead elsewhere", async () => {
    const output = join(folder, "elsewhere.gguf");
    record(output, { recipe: "", elements: 0, files: [{ name: "../../etc/x", byteLength: 1 }] }, [], "files");
    await expect(finishFiles(output, gatherParts(output))).rejects.toThrow(/is no name of a file beside it/);
  });

  test("a file that is no record, is cut short, or says another number", () => {
    const output = join(folder, "none.gguf");
    const path = recordPath(output, { no: 1, count: 1 });
    for (const bytes of ["", "llq_par", "GGUF....", "llq_part"]) {
      writeFileSync(path, bytes);
      expect(() => readRecord(path)).toThrow(expect.objectContaining({ code: "bad-input" }));
    }
    const head = { version: 1, kind: "file", fingerprint: "f", no: 2, count: 3, about: null };
    writeFileSync(
      path,
      Buffer.concat([Buffer.from("llq_part"), encodeFrame(head), encodeFrame({ end: true, seconds: 1 })]),
    );
    expect(() => gatherParts(output)).toThrow(/says that it is part 2 of 3/);
  });
});
