import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { withFile } from "../../formats/bytes.js";
import type { Container } from "../../formats/container.js";
import { LlqError } from "../../formats/errors.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { openContainer } from "../../formats/open.js";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { splitBySize } from "../../src/quant/split.js";
import { verify } from "../../src/run/measure/verify.js";
import { execute, executeParts } from "../../src/run/write/execute.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { PRESETS } from "../support/shapes.js";
import { writeSynthetic } from "../synthetic.js";

const folder = scratchFolder();
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;

function llq(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

function hashes({ files, tensors }: Container): Map<string, string> {
  const contents = files.map((file) => readFileSync(file));
  return new Map(
    [...tensors].map(([name, { file, offset, byteLength }]) => [
      name,
      sha256(contents[file]!.subarray(offset, offset + byteLength)),
    ]),
  );
}

test("--keep-split writes as many files as the model has, which are read as one", async () => {
  const model = join(folder, "model");
  writeSynthetic(model, PRESETS.tiny, { shardBytes: 3e6 });
  const shards = readdirSync(model).filter((name) => name.endsWith(".safetensors")).length;
  expect(shards).toBeGreaterThan(2);
  const [one, parts] = [join(folder, "one.gguf"), join(folder, "parts.gguf")];
  llq("quantize", model, "-o", one, "--type", "Q4_0");
  const { files } = JSON.parse(
    llq("quantize", model, "-o", parts, "--type", "Q4_0", "--keep-split", "--json"),
  );
  const names = files.map(({ output }: { output: string }) => output);
  const five = (n: number) => String(n).padStart(5, "0");
  expect(names).toEqual(
    Array.from({ length: shards }, (_, i) => join(folder, `parts-${five(i + 1)}-of-${five(shards)}.gguf`)),
  );
  const joined = openModel(names[0]);
  expect(joined.container.files).toEqual(names);
  expect(hashes(joined.container)).toEqual(hashes(openContainer(one)));
  expect([...joined.metadata.keys()]).toEqual([...openModel(one).metadata.keys()]);
  const verdicts = await verify(joined, openModel(model), { threads: 0 });
  expect(verdicts.filter(({ verdict }) => verdict !== "identical")).toEqual([]);
});

describe("--split-max-size", () => {
  interface Parts {
    readonly files: readonly string[];
    readonly tensors: readonly (readonly string[])[];
    readonly sha256: readonly string[];
  }
  const golden: Record<string, Parts> = JSON.parse(
    readFileSync(new URL("../golden/quantize/split.json", import.meta.url), "utf8"),
  );

  test.each(Object.entries(golden))("%s cuts where llama-gguf-split does, to the byte", (name, expected) => {
    const [type, limit] = name.split(" ") as [string, string];
    const output = join(folder, name.replace(" ", "-"), "out.gguf");
    mkdirSync(dirname(output));
    const command = type === "F32" ? "convert" : "quantize";
    const options = ["--type", type === "F32" ? "f32" : type, "--split-max-size", limit, "--json"];
    const written = JSON.parse(llq(command, TINY_LLAMA, "-o", output, ...options));
    const files: string[] = (written.files ?? [written]).map((each: { output: string }) => each.output);
    const parts = files.map((file) => withFile(file, readGguf));
    expect(parts.map(({ tensors }) => [...tensors.keys()])).toEqual(expected.tensors);
    if (files.length > 1) expect(files.map((file) => basename(file))).toEqual(expected.files);
    expect(files.slice(1).map((file) => sha256(readFileSync(file)).slice(0, 16))).toEqual(expected.sha256);
    const whole = join(folder, `${type}.gguf`);
    if (!existsSync(whole)) llq(command, TINY_LLAMA, "-o", whole, "--type", type === "F32" ? "f32" : type);
    expect(hashes(openContainer(files[0]!))).toEqual(hashes(openContainer(whole)));
  });

  const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_0"));

  test("a tensor above the limit has a file of its own; a model within it is one file", () => {
    const each = splitBySize(plan, "out.gguf", 1);
    expect(each).toHaveLength(plan.tensors.length);
    expect(each.map(({ plan: part }) => part.tensors.length)).toEqual(plan.tensors.map(() => 1));
    expect(splitBySize(plan, "out.gguf", 2 ** 40)).toEqual([{ plan, output: "out.gguf" }]);
  });

  test.each([0.1, 0.5, 0.9])(
    "stopped at %d of the work, no part has its name; resumed, all are the same",
    async (share) => {
      const whole = splitBySize(plan, join(folder, "whole.gguf"), 500_000);
      await executeParts(whole, { threads: 0, force: true });
      const parts = splitBySize(plan, join(folder, `stopped-${share}.gguf`), 500_000);
      const controller = new AbortController();
      const onProgress = (done: number, total: number) => {
        if (done >= share * total) controller.abort(new LlqError("interrupted", "stopped"));
      };
      const work = executeParts(parts, { threads: 1, onProgress, signal: controller.signal });
      await expect(work).rejects.toMatchObject({
        code: "interrupted",
        hint: expect.stringContaining("--resume"),
      });
      expect(parts.filter(({ output }) => existsSync(output))).toEqual([]);
      const summaries = await executeParts(parts, { threads: 2, resume: true });
      const resumed = summaries.reduce((sum, summary) => sum + summary.resumed, 0);
      expect(resumed).toBeGreaterThanOrEqual(share > 0.2 ? 5 : 0);
      const bytes = (outputs: typeof parts) => outputs.map(({ output }) => sha256(readFileSync(output)));
      expect(bytes(parts)).toEqual(bytes(whole));
      expect(readdirSync(folder).filter((name) => name.includes(".partial"))).toEqual([]);
    },
  );

  test("refuses parts that exist before any work, and sizes that are none", async () => {
    const parts = splitBySize(plan, join(folder, "existing.gguf"), 500_000);
    await execute(plan, parts[2]!.output, { threads: 0 });
    await expect(executeParts(parts, { threads: 0 })).rejects.toThrow(`${parts[2]!.output}: exists already`);
    expect(existsSync(`${parts[0]!.output}.partial`)).toBe(false);
    for (const size of ["17", "-1", "1e3"]) {
      const args = [cli, "quantize", TINY_LLAMA, "-o", "x", "-b", "8", "--split-max-size", size];
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: expect.stringContaining(`${size}: not a size with its unit`),
      });
    }
    const both = spawnSync(process.execPath, [
      cli,
      "quantize",
      TINY_LLAMA,
      "-o",
      "x",
      "-b",
      "4",
      "--keep-split",
      "--split-max-size",
      "2G",
    ]);
    expect(both.status).toBe(2);
  });

  test("a dry run lists the files", () => {
    const options = ["-o", "out.gguf", "--type", "Q4_0", "--split-max-size", "1M", "--dry-run"];
    const { files } = JSON.parse(llq("quantize", TINY_LLAMA, ...options, "--json"));
    expect(files.map(({ output }: { output: string }) => output)).toEqual(golden["Q4_0 1M"]!.files);
    expect(llq("quantize", TINY_LLAMA, ...options)).toContain("3 files: out-00001-of-00003.gguf (");
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
