import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelName, outputNames } from "../../../src/commands/shared/names.js";
import { scratchFolder, TINY_LLAMA } from "../../support/scratch.js";

const CLI = new URL("../../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();

function llq(...args: string[]) {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
}

const sha256 = (name: string) =>
  createHash("sha256")
    .update(readFileSync(join(folder, name)))
    .digest("hex");
const ggufs = () => readdirSync(folder).filter((name) => name.includes(".gguf"));

test.each([
  ["./Llama-3.2-1B", "Llama-3.2-1B"],
  ["./Llama-3.2-1B/", "Llama-3.2-1B"],
  ["models/qwen-f16.gguf", "qwen"],
  ["Qwen3-0.6B-BF16.gguf", "Qwen3-0.6B"],
  ["big-BF16-00001-of-00003.gguf", "big"],
  ["Llama/model-00001-of-00002.safetensors", "Llama"],
  ["Llama/model.safetensors.index.json", "Llama"],
  ["Llama-2-7b/consolidated.00.pth", "Llama-2-7b"],
  ["/tmp/tiny/model", "model"],
  ["hf:meta-llama/Llama-3.2-1B", "Llama-3.2-1B"],
  ["hf:owner/Model-GGUF/model-q8-f16.gguf@main", "model-q8"],
  ["hf:owner/name/sub/folder@v1", "name"],
  ["$&-$1.gguf", "$&-$1"],
])("%s is called %s", (path, name) => {
  expect(modelName(path)).toBe(name);
  expect(outputNames(path, ["Q8_0"], { output: "{name}+{type}" })).toEqual([`${name}+Q8_0`]);
});

test("a model without a name needs an output with one", () => {
  expect(() => modelName("/")).toThrow("has no name to call the output by");
});

test("several types, each with the bytes of a run of its own", () => {
  const { status, stdout } = llq(
    "quantize",
    TINY_LLAMA,
    "-o",
    "x-{type}.gguf",
    "--type",
    "q4_k_m, Q6_K,Q8_0",
    "--json",
  );
  expect(status).toBe(0);
  const { files } = JSON.parse(stdout);
  expect(files).toMatchObject([
    { output: "x-Q4_K_M.gguf", recipe: "Q4_K_M" },
    { output: "x-Q6_K.gguf", recipe: "Q6_K" },
    { output: "x-Q8_0.gguf", recipe: "Q8_0" },
  ]);
  for (const { output, recipe, tensors } of files) {
    const alone = llq("quantize", TINY_LLAMA, "-o", "alone.gguf", "--type", recipe, "--force", "--json");
    expect(sha256(output)).toBe(sha256("alone.gguf"));
    expect(JSON.parse(alone.stdout).tensors).toEqual(tensors);
  }
});

test("without -o the file is called by the model and the type, here, and replaces nothing", () => {
  cpSync(TINY_LLAMA, join(folder, "tiny"), { recursive: true });
  const first = llq("quantize", "tiny", "--bits", "4");
  expect(first).toMatchObject({ status: 0, stdout: expect.stringContaining("tiny-Q4_K_M.gguf: Q4_K_M") });
  const before = sha256("tiny-Q4_K_M.gguf");
  expect(llq("quantize", "tiny", "--type", "Q4_K_M")).toMatchObject({
    status: 2,
    stderr:
      "error: tiny-Q4_K_M.gguf: exists already\n hint: -o names another; -o tiny-Q4_K_M.gguf --force replaces it\n",
  });
  expect(llq("quantize", "tiny", "--type", "Q8_0,Q4_K_M")).toMatchObject({ status: 2 });
  expect(llq("quantize", "tiny", "--type", "Q4_K_M", "--force")).toMatchObject({
    status: 2,
    stderr: "error: --force replaces a file, and none is named\n hint: -o tiny-Q4_K_M.gguf\n",
  });
  expect(sha256("tiny-Q4_K_M.gguf")).toBe(before);
  expect(ggufs().filter((name) => name.startsWith("tiny"))).toEqual(["tiny-Q4_K_M.gguf"]);
  expect(llq("quantize", "tiny", "--type", "Q4_K_M", "--dry-run")).toMatchObject({ status: 0 });
});

test("several types in parts, and a dry run of them", () => {
  const several = ["-o", "p-{type}.gguf", "--type", "Q4_K_M,Q8_0", "--split-max-size", "2M"];
  const dry = llq("quantize", TINY_LLAMA, ...several, "--dry-run", "--json");
  expect(ggufs().filter((name) => name.startsWith("p-"))).toEqual([]);
  const { byteLength, peakMemory, outputs } = JSON.parse(dry.stdout);
  const { files } = JSON.parse(llq("quantize", TINY_LLAMA, ...several, "--json").stdout);
  const sizes = (each: { output: string; byteLength: number }[]) =>
    each.map(({ output, byteLength: size }) => [output, size]);
  expect(sizes(outputs.flatMap((each: { files: [] }) => each.files))).toEqual(sizes(files));
  expect(files.length).toBeGreaterThan(3);
  expect(byteLength).toBeGreaterThan(
    Math.max(...outputs.map((each: { byteLength: number }) => each.byteLength)),
  );
  expect(peakMemory).toBeGreaterThan(2 ** 24);
  const text = llq("quantize", TINY_LLAMA, ...several, "--dry-run").stdout;
  expect(text).toMatch(
    /\nQ4_K_M: .*\n2 files: p-Q4_K_M-00001-of-00002.*\nQ8_0: .*\nneeds [^\n]* of memory\n$/s,
  );
});

test("a stopped run of several types is gone on with", () => {
  const several = ["quantize", TINY_LLAMA, "-o", "s-{type}.gguf", "--type", "Q4_K_M,Q8_0"];
  mkdirSync(join(folder, "whole"));
  expect(llq(...several.with(3, "whole/{type}.gguf")).status).toBe(0);
  // As a kill leaves it: a partial file with nothing noted.
  for (const type of ["Q4_K_M", "Q8_0"]) writeFileSync(join(folder, `s-${type}.gguf.partial`), "");
  const again = llq(...several);
  expect(again.stderr).toMatch(/warning: s-Q4_K_M\.gguf\.partial: .*\nwarning: s-Q8_0\.gguf\.partial: /);
  expect(again.status).toBe(0);
  for (const type of ["Q4_K_M", "Q8_0"]) expect(sha256(`s-${type}.gguf`)).toBe(sha256(`whole/${type}.gguf`));
  rmSync(join(folder, "s-Q8_0.gguf"));
  expect(llq(...several)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/s-Q4_K_M.gguf: exists already/),
  });
  expect(existsSync(join(folder, "s-Q8_0.gguf"))).toBe(false);
});

describe("refused, with the reason", () => {
  const several = ["--type", "Q4_K_M,Q8_0"];
  test.each([
    [
      ["-o", "x.gguf", ...several],
      /x\.gguf: is one name for several types\n hint: -o '\{name\}-\{type\}\.gguf'/,
    ],
    [["-o", "{type}/x.gguf", ...several], /is one name for several types/],
    [["-o", "{type}/{type}.gguf", ...several], /outputs of one run stand in one folder/],
    [["--type", "Q4_K_M,q4_k"], /--type has Q4_K_M twice/],
    [["--type", "Q4_K_M,"], /unknown type/],
    [["--type", "Q4_K_M,COPY"], /--type COPY takes no type, so it goes with no other/],
    [
      [...several, "--calibrate", "text.txt"],
      /--calibrate rounds .* so it goes with one type\n hint: a run for each type/,
    ],
    [[...several, "--effort", "plain"], /--effort means nothing without --calibrate/],
    [["--target-size", "3MB"], /there is none to name the file by, and -o is missing\n hint: -o <file>/],
    [["--target-size", "3MB", "-o", "{type}.gguf"], /\{type\}\.gguf: types are chosen one by one/],
    [["-o", "no/{type}.gguf", ...several], /the folder no does not exist/],
    [["--type", "Q4_K_M,IQ1_S"], /IQ1_S.*importance matrix/],
  ])("%j", (options, why) => {
    const before = ggufs();
    const { status, stderr } = llq("quantize", TINY_LLAMA, ...options);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(why) });
    expect(ggufs()).toEqual(before);
  });
});
