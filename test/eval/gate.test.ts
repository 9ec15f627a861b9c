import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { gateResult, isSettled, judge } from "../../src/eval/perplexity/gate.js";
import { boundary, LOOKS, looksAt, spreadOrder } from "../../src/eval/perplexity/sequential.js";
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

describe("judging", () => {
  const chunk = (nll: number, baseNll: number) => ({
    chunk: 0,
    nll,
    base: { nll: baseNll, kld: nll - baseNll, sameTop: 0.9 },
  });

  test("pairs the chunks: what both find hard does not count as doubt", () => {
    const chunks = [1, 9, 3, 7, 5, 2, 8, 4].map((nll, i) => chunk(nll + 0.1 + 0.001 * (i % 2), nll));
    const [ppl, ratio] = judge({ maxPpl: 150, maxPplRatio: 1.2 }, chunks);
    expect(ppl).toMatchObject({ bound: "max-ppl", outcome: "undecided", isWithin: true });
    expect(ratio).toMatchObject({ bound: "max-ppl-ratio", outcome: "met" });
    expect(ratio!.value).toBeCloseTo(Math.exp(0.1005), 10);
  });

  test("error bars are those of the mean of few chunks: by hand", () => {
    // Mean 2, variance ((-1)² + 0 + 1²) / (3 - 1) = 1, of the mean 1 / 3.
    const chunks = [1, 2, 3].map((kld) => ({ chunk: 0, nll: 1, base: { nll: 1, kld, sameTop: 0.9 } }));
    const error = Math.sqrt(1 / 3);
    const [verdict] = judge({ maxKld: 4 }, chunks);
    expect(verdict!.value).toBe(2);
    expect(verdict!.error).toBeCloseTo(error, 12);
    // Student's t with 2 degrees of freedom: 4.303 errors leave 5 % outside, 2.920 leave 10 %; with 3 it would be 3.182.
    const far = (errors: number, clear: number) =>
      judge({ maxKld: 2 + errors * error }, chunks, clear)[0]!.outcome;
    expect([far(3.2, 1.96), far(4.9, 1.96)]).toEqual(["undecided", "met"]);
    expect([far(2.7, 1.645), far(3.3, 1.645)]).toEqual(["undecided", "met"]);
  });

  test("chunks that all say the same leave no doubt; one chunk says nothing of its spread", () => {
    const same = [chunk(2, 1), chunk(2, 1)];
    expect(judge({ minTop1: 0.9, maxKld: 0.99 }, same)).toMatchObject([
      { bound: "max-kld", outcome: "broken" },
      { bound: "min-top1", outcome: "met" },
    ]);
    const one = judge({ maxKld: 0.1 }, [chunk(2, 1)]);
    expect(one).toMatchObject([{ outcome: "undecided", isWithin: false }]);
    expect(isSettled(one)).toBe(false);
    expect(gateResult(one, true)).toBe("undecided");
    expect(gateResult(one, false)).toBe("failed");
  });
});

describe("looking early", () => {
  test("takes chunks from all over the text, each once", () => {
    expect(spreadOrder(10)).toEqual([0, 4, 8, 2, 6, 1, 5, 9, 3, 7]);
    expect(looksAt(10)).toEqual([
      { look: 1, chunks: 3 },
      { look: 2, chunks: 5 },
      { look: 3, chunks: 8 },
      { look: 4, chunks: 10 },
    ]);
    expect(looksAt(3).map(({ chunks }) => chunks)).toEqual([2, 3]);
    expect(looksAt(1)).toEqual([]);
  });

  test("errs once in forty, as a single look would: by integration over the looks", () => {
    // Density of the sum of the increments, as far as no boundary was crossed; the sum's spread is sqrt(look).
    const step = 0.02;
    const half = 400;
    let density = new Float64Array(2 * half + 1);
    const normal = (x: number) => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI);
    density = density.map((_, i) => normal((i - half) * step));
    let crossed = 0;
    for (let look = 1; look <= LOOKS; look++) {
      const limit = boundary(look) * Math.sqrt(look);
      if (look > 1) {
        const before = density;
        density = before.map((_, i) =>
          before.reduce((sum, value, j) => sum + value * normal((i - j) * step) * step, 0),
        );
      }
      // The upper tail only; trapezoids, as the boundary falls between two points.
      density.forEach((value, i) => {
        const over = Math.min(1, Math.max(0, ((i - half) * step - limit) / step + 0.5));
        crossed += over * value * step;
      });
      density = density.map(
        (value, i) => value * Math.min(1, Math.max(0, (limit - Math.abs(i - half) * step) / step + 0.5)),
      );
    }
    expect(crossed).toBeGreaterThan(0.0245);
    expect(crossed).toBeLessThan(0.0255);
  });
});
