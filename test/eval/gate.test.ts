import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const folder = scratchFolder();
/** Milliseconds: machines that test are busy. */
const SETUP_TIMEOUT = 120_000;

function evalPpl(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "eval-ppl", ...args], {
    encoding: "utf8",
    cwd: folder,
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

const CONTEXT = ["-c", "32", "--chunks", "32"];
const BOUNDS = ["--max-kld", "0.02", "--max-ppl-ratio", "1.1", "--min-top1", "0.7"];

beforeAll(async () => {
  const plan = planQuantize(openModel(TINY_LLAMA), findRecipe("Q8_0"));
  await execute(plan, join(folder, "q8.gguf"), { threads: 0 });
  const { offset, byteLength } = plan.tensors.find(({ tensor }) => tensor.name === "blk.1.ffn_down.weight")!;
  cpSync(join(folder, "q8.gguf"), join(folder, "damaged.gguf"));
  const bytes = readFileSync(join(folder, "damaged.gguf"));
  // A block of Q8_0 is an f16 scale and 32 weights; one more in the exponent doubles it.
  for (let at = offset; at < offset + byteLength; at += 34) bytes[at + 1]! += 4;
  writeFileSync(join(folder, "damaged.gguf"), bytes);
  expect(evalPpl([TINY_LLAMA, TEXT, ...CONTEXT, "--save", "base.llq", "--full-logits"]).status).toBe(0);
}, SETUP_TIMEOUT);

describe("a gate in the command", () => {
  test.each(["1", "2"])(
    "a damaged model fails, unharmed it passes, both in half of the chunks (%s threads)",
    (threads) => {
      const common = ["--baseline", "base.llq", ...BOUNDS, "--sequential", "--json", "-j", threads];
      const good = evalPpl(["q8.gguf", ...common]);
      expect(good.stderr).toBe("");
      expect(good.status).toBe(0);
      const passed = JSON.parse(good.stdout);
      expect(passed).toMatchObject({ gate: { result: "passed" }, chunksOfText: 32 });
      expect(passed.chunks).toBeLessThanOrEqual(16);

      const bad = evalPpl(["damaged.gguf", ...common]);
      expect(bad.status).toBe(1);
      expect(bad.stderr).toMatch(/^error: damaged\.gguf: max-kld broken: .* beyond the bound of 0\.02\n$/);
      const failed = JSON.parse(bad.stdout);
      expect(failed).toMatchObject({ gate: { result: "failed" }, chunksOfText: 32 });
      expect(failed.chunks).toBeLessThanOrEqual(16);
      expect(failed.gate.verdicts).toHaveLength(3);
    },
  );

  test("a bound inside the error bar is undecided when strict, and judged by its value otherwise", () => {
    const args = ["q8.gguf", "--baseline", "base.llq", "--chunks", "8"];
    const { perplexity } = JSON.parse(evalPpl([...args, "--json"]).stdout);
    const near = [...args, "--max-ppl", String(perplexity * 1.0001)];
    expect(evalPpl(near)).toMatchObject({ status: 0, stdout: expect.stringMatching(/max-ppl undecided/) });
    expect(evalPpl([...near, "--strict"])).toMatchObject({
      status: 75,
      stderr: expect.stringMatching(/error: q8\.gguf: max-ppl undecided, the error bar reaches the bound/),
    });
    expect(evalPpl([...args, "--max-ppl", String(perplexity / 1.0001)]).status).toBe(1);
  });

  test("writes JUnit, Markdown, and GitHub's summary and annotations", () => {
    const files = ["--junit", "junit.xml", "--markdown", "result.md"];
    const env = { GITHUB_ACTIONS: "true", GITHUB_STEP_SUMMARY: join(folder, "summary.md") };
    const args = ["damaged.gguf", "--baseline", "base.llq", "--chunks", "8", ...BOUNDS, ...files];
    const { status, stderr } = evalPpl(args, env);
    expect(status).toBe(1);
    const junit = readFileSync(join(folder, "junit.xml"), "utf8");
    expect(junit).toMatch(/<testsuite name="damaged\.gguf" tests="3" failures="1" skipped="0"/);
    expect(junit).toMatch(
      /<testcase classname="damaged\.gguf" name="max-kld"><failure message="max-kld broken: /,
    );
    const markdown = readFileSync(join(folder, "result.md"), "utf8");
    expect(markdown).toMatch(/^### damaged\.gguf: failed\n\n- max-ppl-ratio .*\n- max-kld broken/);
    expect(readFileSync(env.GITHUB_STEP_SUMMARY, "utf8")).toBe(markdown);
    expect(stderr).toMatch(/^::error title=damaged\.gguf%3A max-kld::max-kld broken: /m);
  });

  test.each([
    [["q8.gguf", TEXT, "--max-kld", "1"], /a bound compares with a base/],
    [["q8.gguf", TEXT, "--sequential"], /there are none/],
    [["q8.gguf"], /no text to evaluate/],
    [["q8.gguf", TEXT, "--min-top1", "95"], /A number above 0 and up to 1 is needed/],
    [["q8.gguf", TEXT, "--full-logits"], /there is no --save/],
    [["q8.gguf", TEXT, "--save", "base.llq"], /base\.llq: exists already/],
    [["q8.gguf", TEXT, "--save", "q8.gguf", "--force"], /is an input too/],
  ])("%j is a usage error", (args, message) => {
    expect(evalPpl(args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(message) });
    expect(existsSync(join(folder, "base.llq.partial"))).toBe(false);
  });
});
