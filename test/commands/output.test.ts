import { spawnSync } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { barLine } from "../../src/ui.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const folder = scratchFolder();

function llq(...args: string[]) {
  return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", cwd: folder });
}

describe("a line of progress", () => {
  const state = { progress: 0.425, eta: 63, note: "123 M weights/s" };

  test("has percent and time left at any width, and never wraps", () => {
    for (let columns = 1; columns <= 200; columns++) {
      const line = barLine("quantize", state, columns);
      expect(line.length).toBeLessThan(Math.max(columns, 1));
      if (columns > 5) expect(line).toContain("42 %");
      if (columns > 25) expect(line).toContain("1 min 3 s left");
    }
  });

  test("on a usual one everything", () => {
    expect(barLine("quantize", state, 80)).toBe(
      "quantize: [============-----------------] 42 %, 1 min 3 s left, 123 M weights/s",
    );
    expect(barLine("quantize", { ...state, eta: Number.POSITIVE_INFINITY }, 20)).toBe("quantize: 42 %");
  });
});

describe("sizes", () => {
  test("a number of bytes is one", () => {
    const { status, stdout } = llq(
      "quantize",
      TINY_LLAMA,
      "-o",
      "b.gguf",
      "--target-size",
      "2587360B",
      "--json",
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout).bySize.limit).toBe(2587360);
    expect(statSync(join(folder, "b.gguf")).size).toBeLessThanOrEqual(2587360);
  });

  test.each([
    ["fit", "--params", "7B", "--memory", "8"],
    ["quantize", TINY_LLAMA, "-o", "x.gguf", "--fit", "8"],
    ["quantize", TINY_LLAMA, "-o", "x.gguf", "--target-size", "8"],
    ["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "4", "--split-max-size", "8"],
    ["convert", TINY_LLAMA, "-o", "x.gguf", "--split-max-size", "8"],
    ["split", TINY_LLAMA, "-o", "x.gguf", "--max-size", "8"],
    ["eval-ppl", TINY_LLAMA, TEXT, "--max-memory", "8"],
  ])("%s %s: a number without a unit is refused", (...args) => {
    const { status, stderr } = llq(...args);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/ 8: not a size with its unit\n hint: .* 8GB .*, or 8B for bytes\n/),
    });
  });

  test("what this machine does not have is refused, and fit knows it", () => {
    const machine = totalmem() * 2;
    expect(llq("eval-ppl", TINY_LLAMA, TEXT, "--max-memory", `${machine}B`)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("this machine has"),
    });
    expect(llq("eval-ppl", TINY_LLAMA, TEXT, "--max-memory", "8KB").stderr).toContain("in so little");
    expect(llq("quantize", TINY_LLAMA, "-o", "x.gguf", "-b", "4", "-j", "100000")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/at most \d+ are started/),
    });
    const fit = llq("fit", TINY_LLAMA, "--json");
    expect(JSON.parse(fit.stdout).memory).toBeLessThanOrEqual(totalmem());
    expect(JSON.parse(fit.stdout).memory).toBeGreaterThan(1e8);
    expect(llq("fit", TINY_LLAMA).stdout).toContain("(this machine's)");
  });
});

describe("--quiet and --verbose", () => {
  const stopped = () => writeFileSync(join(folder, "p.gguf.partial"), "half");
  const args = ["quantize", TINY_LLAMA, "-o", "p.gguf", "--bits", "8", "--force"];

  test("a partial file is not thrown away without a word, but with -q", () => {
    stopped();
    expect(llq(...args).stderr).toContain("p.gguf.partial: of a run that was stopped; it begins anew");
    stopped();
    expect(llq(...args, "-q")).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringContaining("Q8_0"),
    });
    expect(existsSync(join(folder, "p.gguf.partial"))).toBe(false);
    expect(llq(...args).stderr).toBe("");
    writeFileSync(join(folder, "i.gguf.partial.journal"), "");
    const imatrix = ["imatrix", TINY_LLAMA, TEXT, "-o", "i.gguf", "-c", "32", "--chunks", "1"];
    expect(llq(...imatrix).stderr).toContain("i.gguf.partial.journal: of a run that was stopped");
  });

  test("-v says what it took, and where an error arose", () => {
    expect(llq("inspect", TINY_LLAMA, "-v").stderr).toMatch(
      /^\d+\.\d s, \d+\.\d s of CPU, at most \d+ MiB of memory\n$/,
    );
    const { status, stderr } = llq("inspect", "missing.gguf", "--verbose");
    expect(status).toBe(3);
    expect(stderr).toMatch(/^error: missing.gguf: no such file or folder\n hint: .*\n.*\n {4}at /);
    expect(llq("inspect", "missing.gguf").stderr).not.toContain("    at ");
  });
});
