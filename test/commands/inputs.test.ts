import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { copyTinyLlama, scratchFolder } from "../support/scratch.js";

// Whatever a command reads, it must not write: every option that takes a path of an output is given every path of an
// input, and nothing there may change.

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const golden = (path: string) => new URL(`../golden/${path}`, import.meta.url).pathname;
const folder = scratchFolder();
const model = copyTinyLlama(folder, "model");

function llq(...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
  return { status, stderr };
}

function contents(): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, createHash("sha256").update(readFileSync(path)).digest("hex")];
    }),
  );
}

beforeAll(() => {
  for (const path of UNREAD) if (!existsSync(join(folder, path))) writeFileSync(join(folder, path), "{}");
  cpSync(golden("lora/plain"), join(folder, "lora"), { recursive: true });
  cpSync(golden("quantize/tiny-llama.imatrix.gguf"), join(folder, "imatrix.gguf"));
  writeFileSync(join(folder, "text.txt"), "The cat sat on the mat. ".repeat(12));
  const short = ["-c", "16", "--chunks", "1"];
  expect(llq("sensitivity", model, "text.txt", "-o", "sensitivity.json", ...short)).toMatchObject({
    status: 0,
  });
  expect(llq("eval-ppl", model, "text.txt", "--save", "base.llq", "-c", "16", "--chunks", "2").status).toBe(
    0,
  );
  linkSync(join(folder, "text.txt"), join(folder, "text-too.txt"));
}, 120_000);

/** Of a model's folder, and not read by any of these commands: others may need them. */
const UNREAD = ["generation_config.json", "special_tokens_map.json", "merges.txt", "pytorch_model.bin"].map(
  (name) => `model/${name}`,
);
const MODEL = [
  "model/config.json",
  "model/model.safetensors",
  "model/tokenizer.model",
  "model/tokenizer.json",
  "model/tokenizer_config.json",
  ...UNREAD,
];
const LORA = ["lora/adapter_config.json", "lora/adapter_model.safetensors"];
const TEXTS = ["text.txt", "text-too.txt"];
const ppl = ["eval-ppl", "model", "text.txt", "-c", "16", "--chunks", "2"];

describe.each<[name: string, args: string[], option: string, inputs: string[]]>([
  ["convert -o", ["convert", "model", "--lora", "lora"], "-o", [...MODEL, ...LORA]],
  [
    "quantize -o",
    ["quantize", "model", "--bits", "4", "--imatrix", "imatrix.gguf"],
    "-o",
    ["model/config.json", "imatrix.gguf"],
  ],
  [
    "quantize --target-bpw -o",
    ["quantize", "model", "--target-bpw", "5", "--sensitivity", "sensitivity.json"],
    "-o",
    ["sensitivity.json"],
  ],
  [
    "imatrix -o",
    ["imatrix", "model", "text.txt", "-c", "16", "--in", "imatrix.gguf"],
    "-o",
    ["model/tokenizer.model", "imatrix.gguf", ...TEXTS],
  ],
  [
    "sensitivity -o",
    ["sensitivity", "model", "text.txt", "-c", "16", "--imatrix", "imatrix.gguf"],
    "-o",
    ["model/config.json", "imatrix.gguf", ...TEXTS],
  ],
  ["eval-ppl --save", ppl, "--save", ["model/tokenizer.model", ...TEXTS]],
  ["eval-ppl --junit", [...ppl, "--max-ppl", "9e9"], "--junit", ["model/config.json", UNREAD[0]!, ...TEXTS]],
  [
    "eval-ppl --markdown",
    ["eval-ppl", "model", "--baseline", "base.llq"],
    "--markdown",
    ["model/model.safetensors", "base.llq"],
  ],
  ["eval-ppl --lora --markdown", [...ppl, "--lora", "lora"], "--markdown", LORA],
  [
    "compare --html",
    ["compare", "model", "model", "-t", "text.txt", "-c", "16"],
    "--html",
    ["model/config.json", ...TEXTS],
  ],
  [
    "compare --markdown",
    ["compare", "model", "model", "-t", "text.txt", "-c", "16"],
    "--markdown",
    ["model/tokenizer.model", ...TEXTS],
  ],
])("%s", (_, args, option, inputs) => {
  test.each(inputs)("never writes %s", (input) => {
    const before = contents();
    const force = args[0] === "compare" ? [] : ["--force"];
    for (const more of input === inputs[0] ? [[], force] : [force]) {
      const { status, stderr } = llq(...args, option, input, ...more);
      expect(stderr).toMatch(/error: .*: (is an input too|exists already)/);
      if (more.length > 0) expect(stderr).toMatch(/is an input too/);
      expect(status).toBe(2);
    }
    expect(contents()).toEqual(before);
  });
});

test.each<[what: string, path: string]>([
  ["an empty name", ""],
  ["a name too long", "x".repeat(300)],
  ["a link in a circle", "circle"],
])("%s is refused in the place of an output", (_, path) => {
  if (path === "circle") symlinkSync("circle", join(folder, "circle"));
  const { status, stderr } = llq("convert", "model", "-o", path, "--force");
  expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(/^error: /) });
});

test("two outputs of one name are refused", () => {
  const { status, stderr } = llq(...ppl, "--junit", "report", "--markdown", "report");
  expect(stderr).toContain("report: is to be written twice at once");
  expect(status).toBe(2);
});

test("the summary of GitHub's job is appended to, and is no input either", () => {
  const env = { ...process.env, GITHUB_ACTIONS: "true" };
  const run = (summary: string) =>
    spawnSync(process.execPath, [CLI, ...ppl], {
      cwd: folder,
      encoding: "utf8",
      env: { ...env, GITHUB_STEP_SUMMARY: summary },
    });
  const before = readFileSync(join(folder, "text.txt"), "utf8");
  expect(run("text.txt").stderr).toContain("is an input too");
  expect(readFileSync(join(folder, "text.txt"), "utf8")).toBe(before);
  writeFileSync(join(folder, "summary"), "before\n");
  expect(run("summary").status).toBe(0);
  expect(readFileSync(join(folder, "summary"), "utf8")).toMatch(/^before\n### /);
});
