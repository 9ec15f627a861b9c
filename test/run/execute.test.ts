import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { byteLength } from "../../formats/dtype.js";
import { LlqError } from "../../formats/errors.js";
import { openContainer } from "../../formats/open.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { openModel } from "../../src/model.js";
import type { Weights } from "../../src/quant/importance.js";
import { planConvert, planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { encode } from "../../src/run/write/encode.js";
import { execute } from "../../src/run/write/execute.js";
import { Flusher } from "../../src/run/write/output.js";
import { encodeJobs } from "../../src/run/write/tensor-jobs.js";
import { storedWhole, type Tensor } from "../../src/tensor.js";
import { Random } from "../support/random.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("execute", () => {
  test.each(["Q8_0", "Q4_0", "F16"])("%s: the same bytes for 0, 1, 2 and 4 threads", async (type) => {
    const plan = planQuantize(openModel(TINY_LLAMA), findRecipe(type));
    const hashes = new Set<string>();
    for (const threads of [0, 1, 2, 4]) {
      const output = join(folder, `${type}-${threads}.gguf`);
      const { byteLength } = await execute(plan, output, { threads });
      expect(readFileSync(output).length).toBe(byteLength);
      hashes.add(sha256(output));
    }
    expect(hashes.size).toBe(1);
  });

  test("quantizing a folder and quantizing its conversion write the same tensors", async () => {
    const converted = join(folder, "converted.gguf");
    await execute(planConvert(openModel(TINY_LLAMA), findRecipe("BF16")), converted, { threads: 0 });
    const [direct, twoSteps] = [join(folder, "direct.gguf"), join(folder, "two-steps.gguf")];
    const recipe = findRecipe("Q4_0");
    await execute(planQuantize(openModel(TINY_LLAMA), recipe), direct, { threads: 0 });
    await execute(planQuantize(openModel(converted), recipe), twoSteps, { threads: 0 });
    expect(sha256(twoSteps)).toBe(sha256(direct));
  });

  test("progress adds up to every weight", async () => {
    const plan = planConvert(openModel(TINY_LLAMA), findRecipe("F32"));
    const seen: number[] = [];
    const onProgress = (done: number, total: number) => seen.push(done / total);
    await execute(plan, join(folder, "progress.gguf"), { threads: 2, onProgress });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });
});

describe("an importance matrix", () => {
  /** Random weights of that shape as a tensor in a file of their own. */
  function storedTensor(name: string, shape: number[], values: Float32Array): Tensor {
    const path = join(folder, name);
    writeFileSync(path, values);
    const source = { file: 0, offset: 0, byteLength: values.byteLength, dtype: "F32" as const, shape };
    return { name, role: "ffn_down_exps", layer: 0, shape, ...storedWhole(source) };
  }

  /** What the jobs of a plan for the tensor write. */
  function encoded(tensor: Tensor, weights: Weights): Buffer {
    const size = byteLength("Q4_K", tensor.shape);
    const plan = { tensor, dtype: "Q4_K" as const, reason: "", fellBack: false, weights };
    const [source, output] = [join(folder, tensor.name), join(folder, `${tensor.name}.out`)];
    const [fd, out] = [openSync(source, "r"), openSync(output, "w")];
    const jobs = encodeJobs({ ...plan, offset: 0, byteLength: size }, [fd], { fd: out, name: output });
    const kernels = new Kernels();
    for (const job of jobs) encode(job, kernels);
    for (const open of [fd, out]) closeSync(open);
    return readFileSync(output);
  }

  test("guides each expert by its own columns, also where a job spans several", () => {
    const random = new Random(1);
    const [experts, rows, columns] = [5, 900, 512]; // a job has 2048 rows
    const values = Float32Array.from(
      { length: experts * rows * columns },
      () => random.below(2000) / 1000 - 1,
    );
    const weights = Array.from({ length: experts }, () =>
      Float32Array.from({ length: columns }, () => random.below(1000) ** 2),
    );
    const stacked = encoded(storedTensor("stacked", [experts, rows, columns], values), weights);
    const alone = weights.map((each, i) => {
      const part = values.slice(i * rows * columns, (i + 1) * rows * columns);
      return encoded(storedTensor(`expert ${i}`, [rows, columns], part), [each]);
    });
    expect(Buffer.concat(alone).equals(stacked)).toBe(true);
    const swapped = encoded(storedTensor("swapped", [experts, rows, columns], values), weights.toReversed());
    expect(swapped.equals(stacked)).toBe(false);
  });
});

describe("execute refuses", () => {
  const plan = () => planConvert(openModel(TINY_LLAMA), findRecipe("F32"));

  test("an output that exists, without force", async () => {
    const output = join(folder, "exists.gguf");
    writeFileSync(output, "precious");
    await expect(execute(plan(), output, { threads: 0 })).rejects.toThrow(/exists already/);
    expect(readFileSync(output, "utf8")).toBe("precious");
    await execute(plan(), output, { threads: 0, force: true });
    expect(openContainer(output).tensors.size).toBe(39);
  });

  test("an output that is an input, by whatever name", async () => {
    const input = join(folder, "input.gguf");
    await execute(plan(), input, { threads: 0 });
    const before = sha256(input);
    const again = planQuantize(openModel(input), findRecipe("Q8_0"));
    linkSync(input, join(folder, "hard.gguf"));
    symlinkSync(input, join(folder, "soft.gguf"));
    for (const name of ["input.gguf", "hard.gguf", "soft.gguf"]) {
      await expect(execute(again, join(folder, name), { force: true })).rejects.toThrow(/is an input too/);
    }
    expect(sha256(input)).toBe(before);
  });

  test("a folder that does not exist", async () => {
    await expect(execute(plan(), join(folder, "no", "x.gguf"))).rejects.toThrow(
      /the folder .* does not exist/,
    );
  });

  test("a weight that is not a number, and leaves nothing behind", async () => {
    const model = copyTinyLlama(folder, "nan");
    const file = join(model, "model.safetensors");
    const { offset } = openContainer(file).tensors.get("model.layers.2.mlp.up_proj.weight")!;
    const bytes = readFileSync(file);
    bytes.writeUInt16LE(0x7fc0, offset + 2 * (5 * 256 + 7));
    writeFileSync(file, bytes);
    const output = join(folder, "nan.gguf");
    for (const type of ["BF16", "Q8_0"]) {
      const work = execute(planQuantize(openModel(model), findRecipe(type)), output, { threads: 1 });
      await expect(work).rejects.toMatchObject({
        code: "bad-input",
        message: "tensor blk.2.ffn_up.weight: row 5, column 7: the weight is NaN",
      });
    }
    expect(readdirSync(folder).filter((name) => name.startsWith("nan.gguf"))).toEqual([]);
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk (/dev/full), naming the output", () => {
    const model = openModel(TINY_LLAMA);
    const { tensors, files } = planConvert(model, findRecipe("F32"));
    const fds = files.map((file) => openSync(file, "r"));
    const fd = openSync("/dev/full", "w");
    const [job] = encodeJobs(tensors[0]!, fds, { fd, name: "out.gguf" });
    expect(() => encode(job!, new Kernels())).toThrow("out.gguf: the disk is full");
    for (const open of [...fds, fd]) closeSync(open);
  });
});

describe("a stopped run", () => {
  const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q8_0"));
  const whole = join(folder, "whole.gguf");

  /** Runs until about `share` of the weights are done, then stops as Ctrl-C does. */
  async function runUntil(share: number, output: string, threads: number): Promise<void> {
    const controller = new AbortController();
    const onProgress = (done: number, total: number) => {
      if (done >= share * total) controller.abort(new LlqError("interrupted", "stopped"));
    };
    const work = execute(plan, output, { threads, onProgress, signal: controller.signal });
    await expect(work).rejects.toMatchObject({
      code: "interrupted",
      hint: `--resume goes on from ${output}.partial`,
    });
  }

  test.each([
    [0.01, 0],
    [0.3, 1],
    [0.6, 2],
    [0.9, 4],
  ])(
    "after %d of the work with %d threads leaves no output; resumed, it gives the same file",
    async (share, threads) => {
      await execute(plan, whole, { threads: 0, force: true });
      const output = join(folder, `stopped-${share}.gguf`);
      await runUntil(share, output, threads);
      expect(existsSync(output)).toBe(false);
      const { resumed } = await execute(plan, output, { threads, resume: true });
      expect(resumed).toBeGreaterThanOrEqual(share > 0.5 ? 1 : 0);
      expect(sha256(output)).toBe(sha256(whole));
      expect(existsSync(`${output}.partial`) || existsSync(`${output}.partial.journal`)).toBe(false);
    },
  );

  test("does again what the disk lost", async () => {
    const output = join(folder, "lost.gguf");
    await runUntil(0.9, output, 0);
    const partial = readFileSync(`${output}.partial`);
    writeFileSync(`${output}.partial`, partial.fill(0, 40_000, 900_000));
    await execute(plan, output, { threads: 0, resume: true });
    expect(sha256(output)).toBe(sha256(whole));
  });

  test("survives a journal that was cut anywhere", async () => {
    const output = join(folder, "cut.gguf");
    await runUntil(0.5, output, 0);
    const journal = readFileSync(`${output}.partial.journal`);
    const partial = readFileSync(`${output}.partial`);
    for (let length = 0; length < journal.length; length += 301) {
      writeFileSync(`${output}.partial.journal`, journal.subarray(0, length));
      writeFileSync(`${output}.partial`, partial);
      await execute(plan, output, { threads: 0, resume: true, force: true });
      expect(sha256(output)).toBe(sha256(whole));
    }
  });

  test("is not gone on with by another plan", async () => {
    const output = join(folder, "other.gguf");
    await runUntil(0.5, output, 0);
    const other = planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_0"));
    await expect(execute(other, output, { threads: 0, resume: true })).rejects.toThrow(
      /was left by other options/,
    );
    await execute(plan, output, { threads: 0, resume: true }); // nothing was lost
    expect(sha256(output)).toBe(sha256(whole));
  });
});

test.each([0, 2])("an interruption with the last of the work counts: %d threads", async (threads) => {
  const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q8_0"));
  const output = join(folder, `late-${threads}.gguf`);
  const controller = new AbortController();
  const onProgress = (done: number, total: number) => {
    if (done === total) controller.abort(new LlqError("interrupted", "stopped"));
  };
  const work = execute(plan, output, { threads, onProgress, signal: controller.signal });
  await expect(work).rejects.toMatchObject({ code: "interrupted" });
  expect(existsSync(output)).toBe(false);
  const { byteLength } = await execute(plan, output, { threads, resume: true });
  expect(readFileSync(output).length).toBe(byteLength);
});

describe("Flusher", () => {
  test("tells at the end of a flush that failed, and begins no other", async () => {
    const fd = openSync(join(folder, "closed"), "w");
    closeSync(fd);
    const flusher = new Flusher(fd, "out.gguf");
    flusher.wrote(2 ** 30);
    await flusher.stop();
    flusher.wrote(2 ** 30);
    await expect(flusher.finish()).rejects.toMatchObject({
      code: "no-space",
      message: "out.gguf: cannot be written (EBADF)",
    });
  });

  test("leaves a little for the end", async () => {
    const flusher = new Flusher(-1, "out.gguf"); // would fail
    flusher.wrote(1);
    await flusher.finish();
  });
});
