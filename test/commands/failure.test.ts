import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT_CODE } from "../../formats/errors.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const BIG_ENDIAN = new URL("../golden/containers/big-endian.gguf", import.meta.url).pathname;
const folder = scratchFolder();

function llq(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { encoding: "utf8", cwd: folder, env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [CLI, ...args], options);
}

describe("with --json an error is one JSON document on stdout", () => {
  writeFileSync(join(folder, "broken.gguf"), "GGUF and no more");

  test.each([
    [["inspect", "missing.gguf"], 3, { code: "bad-input", message: "missing.gguf: no such file or folder" }],
    [["inspect", "broken.gguf"], 4, { code: "unsupported", file: "broken.gguf" }],
    [
      ["quantize", TINY_LLAMA, "-o", "x.gguf"],
      2,
      { code: "usage", hint: expect.stringContaining("--bits 4") },
    ],
    [["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "9"], 2, { code: "usage" }],
    [["inspect"], 2, { code: "usage", message: "missing required argument 'model'" }],
    [["inspekt", "x"], 2, { code: "usage", message: expect.stringContaining("Did you mean inspect?") }],
    [["quantize", TINY_LLAMA, "-o", TEXT, "--bits", "4"], 2, { code: "usage", file: TEXT }],
    [["convert", TINY_LLAMA, "-o", "nowhere/x.gguf"], 2, { hint: "mkdir -p nowhere" }],
  ])("%s", (args, status, error) => {
    const result = llq([...args, "--json"]);
    expect(result.status).toBe(status);
    expect(JSON.parse(result.stdout)).toEqual({ schema: 1, error: expect.objectContaining(error) });
    expect(result.stderr).toMatch(/^error: /);
    expect(llq(args).stdout).toBe("");
  });

  test("a tensor is named", () => {
    const args = ["quantize", TINY_LLAMA, "-o", "q.gguf", "--type", "Q4_0"];
    expect(llq(args).status).toBe(0);
    const { stdout } = llq(["quantize", "q.gguf", "-o", "x.gguf", "--type", "Q8_0", "--json"]);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: "usage",
      file: "q.gguf",
      tensor: "token_embd.weight",
    });
  });

  test("a failed check that has printed its result prints no second document", () => {
    const { status, stdout } = llq([
      "eval-ppl",
      TINY_LLAMA,
      TEXT,
      "-c",
      "32",
      "--chunks",
      "2",
      "--max-ppl",
      "1",
      "--json",
    ]);
    expect(status).toBe(1);
    expect(JSON.parse(stdout).gate.result).toBe("failed");
  });

  test("behind -- it is a name", () => {
    expect(llq(["inspect", "--", "--json"]).stdout).toBe("");
  });
});

describe("in GitHub Actions", () => {
  const github = (name: string) => {
    const summary = join(folder, `${name}.md`);
    writeFileSync(summary, "");
    return { env: { GITHUB_ACTIONS: "true", GITHUB_STEP_SUMMARY: summary }, summary };
  };

  test("any failure is annotated, in the summary, and a JUnit file", () => {
    const { env, summary } = github("missing");
    const { status, stderr } = llq(["eval-ppl", "missing.gguf", TEXT, "--junit", "missing.xml"], env);
    expect(status).toBe(3);
    expect(stderr).toContain(
      "::error title=llq eval-ppl::missing.gguf: no such file or folder (check the name: paths start in the folder where llq is run)\n",
    );
    expect(readFileSync(summary, "utf8")).toBe(
      "### llq eval-ppl: bad-input\n\nmissing.gguf: no such file or folder \\(check the name: paths start in the folder where llq is run\\)\n",
    );
    const junit = readFileSync(join(folder, "missing.xml"), "utf8");
    expect(junit).toContain('<testsuite name="llq eval-ppl" tests="1" failures="0" errors="1">');
    expect(junit).toContain(
      'name="bad-input"><error message="missing.gguf: no such file or folder (check the name: paths start in the folder where llq is run)"/>',
    );
    llq(["eval-ppl", "gone.gguf", TEXT, "--junit", "missing.xml"]);
    expect(readFileSync(join(folder, "missing.xml"), "utf8")).toContain("gone.gguf: no such file or folder");
  });

  test("so is a wrong option, and nothing obeys a name", () => {
    const { env, summary } = github("usage");
    expect(llq(["quantize", "--bitz", "4"], env).stderr).toContain("::error title=llq quantize::");
    expect(readFileSync(summary, "utf8")).toContain("### llq quantize: usage");
    const { stderr } = llq(["inspect", "a\n::warning::b"], env);
    expect(stderr).not.toMatch(/^::warning/m);
  });

  test("a broken bound is annotated once", () => {
    const { env } = github("gate");
    const { stderr } = llq(
      ["eval-ppl", TINY_LLAMA, TEXT, "-c", "32", "--chunks", "2", "--max-ppl", "1", "--junit", "gate.xml"],
      env,
    );
    expect(stderr.match(/^::error/gm)).toHaveLength(1);
    expect(readFileSync(join(folder, "gate.xml"), "utf8")).toContain('failures="1"');
  });

  test("a failure's JUnit file replaces a report of before, and nothing that may be an input", () => {
    const [model, report] = [join(folder, "own.gguf"), join(folder, "again.xml")];
    const bytes = readFileSync(BIG_ENDIAN);
    writeFileSync(model, bytes);
    for (const args of [
      ["eval-ppl", "own.gguf", TEXT, "--junit", "own.gguf"],
      ["eval-ppl", "missing.gguf", TEXT, "--junit=own.gguf"],
      ["eval-ppl", "own.gguf", TEXT, "--chunks", "x", "--junit", "own.gguf"],
    ]) {
      expect(llq(args).status).not.toBe(0);
      expect(readFileSync(model).equals(bytes)).toBe(true);
    }
    for (const name of ["first", "second"]) llq(["eval-ppl", name, TEXT, "--junit", "again.xml"]);
    expect(readFileSync(report, "utf8")).toContain('message="second: no such file or folder (');
  });

  test("elsewhere nothing is annotated", () => {
    const { stderr } = llq(["inspect", "missing.gguf"], { GITHUB_ACTIONS: "" });
    expect(stderr).not.toContain("::");
    expect(existsSync(join(folder, "undefined"))).toBe(false);
  });
});

test.each([
  ["SIGINT", EXIT_CODE.interrupted, 130],
  ["SIGTERM", EXIT_CODE.terminated, 143],
] as const)("%s ends a run with its own status", async (signal, code, status) => {
  const long = join(folder, "long.txt");
  writeFileSync(long, "The cat sat on the mat. ".repeat(4000));
  const args = [
    CLI,
    "sensitivity",
    TINY_LLAMA,
    long,
    "-o",
    "s.json",
    "-c",
    "16",
    "--chunks",
    "1000",
    "--json",
    "--force",
  ];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  let stdout = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  // The scratch file is made when the work has begun.
  while (!existsSync(join(folder, "s.json.partial.lock")))
    await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill(signal);
  const [ended] = await once(child, "close");
  expect([ended, code]).toEqual([status, status]);
  expect(JSON.parse(stdout).error.message).toContain(signal);
});
