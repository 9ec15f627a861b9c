import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { expect, test } from "vitest";
import { DOCUMENTS } from "../../src/report/documents/index.js";
import { JSON_PAGE, jsonPage } from "../json-page.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const TEXT = new URL("../../samples/text.txt", import.meta.url).pathname;
const QUESTIONS = new URL("../golden/choice/", import.meta.url).pathname;
const folder = scratchFolder();

/** Runs the program; what it prints must be the document of that name, whole. */
function check(name: keyof typeof DOCUMENTS, ...args: string[]): Record<string, unknown> {
  const options = { encoding: "utf8", cwd: folder } as const;
  const { stdout, stderr } = spawnSync(process.execPath, [CLI, ...args, "--json"], options);
  const printed = JSON.parse(stdout || JSON.stringify({ stderr }));
  const { issues = [] } = v.safeParse(DOCUMENTS[name], printed);
  expect(issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`)).toEqual([]);
  covered.add(name);
  return printed;
}

const covered = new Set<string>();

test("docs/json.md is what the schemas say (npm run readme)", () => {
  expect(readFileSync(JSON_PAGE, "utf8")).toBe(jsonPage());
});

test("what writes", () => {
  check("convert, quantize", "convert", TINY_LLAMA, "-o", "a.gguf");
  check("convert, quantize", "quantize", TINY_LLAMA, "-o", "q.gguf", "--type", "Q4_K_M");
  check(
    "convert, quantize in several files",
    "quantize",
    "a.gguf",
    "-o",
    "s.gguf",
    "-b",
    "8",
    "--split-max-size",
    "2M",
  );
  const several = ["quantize", TINY_LLAMA, "--type", "Q8_0,q4_k"];
  check("quantize --dry-run of several types", ...several, "--dry-run");
  check("convert, quantize in several files", ...several);
  check("quantize --dry-run", "quantize", TINY_LLAMA, "-o", "d.gguf", "--target-size", "3MB", "--dry-run");
  check("quantize --dry-run", "quantize", TINY_LLAMA, "-o", "d.gguf", "--type", "Q2_K", "--dry-run");
  check("convert, quantize", "quantize", TINY_LLAMA, "-o", "t.gguf", "--target-size", "3MB");
  check("verify", "verify", "q.gguf", "--source", TINY_LLAMA);
  check("copy, split, merge, meta -o", "split", "q.gguf", "-o", "parts.gguf", "--max-tensors", "20");
  check("copy, split, merge, meta -o", "meta", "q.gguf", "-o", "m.gguf", "--set", "general.name=x");
}, 120_000);

test("what looks", () => {
  const model = check("inspect", "inspect", TINY_LLAMA);
  expect(model).toMatchObject({ hparams: { normEpsilon: 1e-5 } });
  check("inspect", "inspect", "q.gguf", "--no-tensors");
  check("inspect --key, meta --key", "inspect", "q.gguf", "--key", "tokenizer.ggml.tokens");
  check("meta", "meta", "q.gguf");
  check("hash", "hash", "q.gguf");
  const manifest = spawnSync(process.execPath, [CLI, "hash", "q.gguf"], { encoding: "utf8", cwd: folder });
  expect(manifest.stdout).toContain("sha256");
  spawnSync("sh", ["-c", "cat > manifest"], { cwd: folder, input: manifest.stdout });
  check("hash --check", "hash", "q.gguf", "--check", "manifest");
  check("hash --check", "hash", "a.gguf", "--check", "manifest");
  check("fit", "fit", "--params", "llama-3.1-8b", "--memory", "8GB");
  check("fit", "fit", "q.gguf", "--memory", "1GB");
}, 120_000);

test("what evaluates", () => {
  const small = ["-c", "32", "--chunks", "4"];
  check("eval-ppl", "eval-ppl", "q.gguf", TEXT, ...small);
  check("eval-ppl", "eval-ppl", "q.gguf", TEXT, ...small, "--base-model", TINY_LLAMA, "--max-kld", "0.0001");
  check("eval-ppl", "eval-ppl", "q.gguf", TEXT, "-c", "64", "--chunks", "2", "--stride", "16");
  const exact = check("eval-ppl", "eval-ppl", TINY_LLAMA, TEXT, ...small);
  const fast = check("eval-ppl", "eval-ppl", TINY_LLAMA, TEXT, ...small, "--fast");
  expect([exact["fast"], fast["fast"]]).toEqual([undefined, true]);
  expect(Math.abs(Number(fast["perplexity"]) / Number(exact["perplexity"]) - 1)).toBeLessThan(1e-6);
  check("compare", "compare", TINY_LLAMA, "q.gguf", "--text", TEXT, ...small);
  const compared = check("compare", "compare", TINY_LLAMA, "q.gguf", "--text", TEXT, ...small, "--fast");
  expect(compared["fast"]).toBe(true);
  check("imatrix", "imatrix", TINY_LLAMA, TEXT, "-o", "i.gguf", ...small);
  check("imatrix", "imatrix", "--in", "i.gguf", "-o", "j.gguf");
  check("imatrix --show-statistics", "imatrix", "--in", "i.gguf", "--show-statistics");
  check("sensitivity", "sensitivity", TINY_LLAMA, TEXT, "-o", "s.json", "-c", "16", "--chunks", "1");
  check("eval-choice", "eval-choice", TINY_LLAMA, join(QUESTIONS, "boolq.jsonl"));
  const asked = check("eval-choice", "eval-choice", TINY_LLAMA, join(QUESTIONS, "arc.jsonl"), "--fast");
  expect(asked["fast"]).toBe(true);
  const subjects = join(folder, "subjects");
  mkdirSync(subjects);
  copyFileSync(join(QUESTIONS, "mmlu.csv"), join(subjects, "one_test.csv"));
  check("eval-choice of a folder", "eval-choice", TINY_LLAMA, subjects);
  writeFileSync(join(folder, "sums.jsonl"), JSON.stringify({ question: "What is 1 + 1?", answer: "#### 2" }));
  const written = ["sums.jsonl", "--task", "gsm8k", "--shots", "0", "--max-tokens", "8"];
  check("eval-gen", "eval-gen", TINY_LLAMA, ...written, "--base-model", "q.gguf", "--min-accuracy", "0");
  check(
    "generate",
    "generate",
    "q.gguf",
    "The city",
    "-n",
    "4",
    "--logprobs",
    "2",
    "--temp",
    "1",
    "--seed",
    "7",
  );
  const calibrated = ["--calibrate", TEXT, "--calibrate-tokens", "512", "--effort", "plain"];
  check("convert, quantize", "quantize", TINY_LLAMA, "-o", "c.gguf", "--bits", "4", ...calibrated);
}, 240_000);

test("what would be pushed", () => {
  check("push", "push", "me/model", "q.gguf");
});

test("what is done in parts", () => {
  for (const part of ["1/2", "2/2"]) {
    check("any command with --part", "quantize", TINY_LLAMA, "-o", "p.gguf", "--bits", "4", "--part", part);
    check(
      "any command with --part",
      "eval-ppl",
      "q.gguf",
      TEXT,
      "-c",
      "32",
      "--chunks",
      "4",
      "-o",
      "p",
      "--part",
      part,
    );
    check("any command with --part", "verify", "q.gguf", "-s", TINY_LLAMA, "-o", "v", "--part", part);
  }
  check("finish of a model", "finish", "p.gguf");
  check("eval-ppl", "finish", "p", "--max-ppl", "1");
  check("verify", "finish", "v");
  check(
    "any command with --part",
    "convert",
    TINY_LLAMA,
    "-o",
    "s.gguf",
    "--split-max-size",
    "2M",
    "--part",
    "1/1",
  );
  check("finish of a model", "finish", "s.gguf");
  check(
    "any command with --part",
    "imatrix",
    TINY_LLAMA,
    TEXT,
    "-o",
    "p.imatrix",
    "-c",
    "32",
    "--chunks",
    "4",
    "--part",
    "1/1",
  );
  check("imatrix", "finish", "p.imatrix");
}, 120_000);

test("what fails, and nothing was left out", () => {
  check("any command that fails", "inspect", "missing.gguf");
  check("any command that fails", "nothing");
  expect([...covered].sort()).toEqual(Object.keys(DOCUMENTS).sort());
});
