import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { modelTokenizer } from "../../src/commands/shared/text.js";
import { type Answered, evaluateWritten, type WrittenOptions } from "../../src/eval-gen/evaluate.js";
import { readExamples } from "../../src/eval-gen/examples.js";
import { readWrittenQuestions } from "../../src/eval-gen/questions.js";
import { findWrittenTask } from "../../src/eval-gen/tasks/index.js";
import { loadEngine } from "../../src/generate/load-engine.js";
import { generateMemory } from "../../src/generate/memory.js";
import { openModel } from "../../src/model.js";
import { teamBytes } from "../../src/net/team/memory.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { evaluatorEngine } from "../support/stand-in-engine.js";

const folder = scratchFolder();
const model = openModel(TINY_LLAMA);
const tokenizer = modelTokenizer(model);
const task = findWrittenTask("custom")!;
const PROGRAM = new URL("../../dist/program/cli.js", import.meta.url).pathname;

const starts = [
  "Once upon a time",
  "The little dog",
  "Lily and her mum",
  "One day, a big bird",
  "In the park",
  "Tom",
];
const write = (name: string, prompts: readonly string[]) => {
  const path = join(folder, name);
  writeFileSync(path, prompts.map((prompt) => JSON.stringify({ prompt, answer: "was happy." })).join("\n"));
  return path;
};
const file = write("questions.jsonl", starts);
const shown = write("examples.jsonl", ["A cat", "A girl"]);
const questions = readWrittenQuestions(file, task, "llq");
const examples = readExamples(shown, task, "llq");

const run = (options: WrittenOptions = {}, load: typeof loadEngine | typeof slow = loadEngine) =>
  evaluateWritten(model, tokenizer, task, questions, load as typeof loadEngine, {
    maxTokens: 12,
    threads: 1,
    examples,
    ...options,
  });
const slow = (_: unknown, { context, sequences }: { context: number; sequences?: number | undefined }) =>
  evaluatorEngine(model, { context, sequences });
const told = (answered: readonly Answered[]) =>
  answered.map(({ id, tokens, text }) => ({ id, tokens, text }));

describe("answers", { timeout: 120_000 }, () => {
  test("are the same however many are written at once, by as many threads, with examples fed once", async () => {
    const alone = await run({ batch: 1, activations: "f32", kvType: "f32" });
    expect(Math.max(...alone.questions.map(({ tokens }) => tokens.length))).toBe(12);
    for (const [batch, threads] of [[3, 1], [8, 2], [4, 2]] as const) {
      const found = await run({ batch, threads, activations: "f32", kvType: "f32" });
      expect(told(found.questions)).toEqual(told(alone.questions));
    } // biome-ignore format: pairs
    // an engine that computes every token anew, and knows of no prefix but by copying
    const anew = await run({ batch: 2 }, slow);
    expect(told(anew.questions)).toEqual(told(alone.questions));
  });

  test("that are known are not asked again, unless they were asked in other words", async () => {
    const first = await run({ limit: 4 });
    const seen: number[] = [];
    const known = new Map(first.questions.map((each) => [each.id, each]));
    const rest = await run({ known, onProgress: ({ answered }) => seen.push(answered.length) });
    expect(seen).toEqual([5, 6]);
    const all = await run();
    expect(rest.questions).toEqual(all.questions);
    expect(rest.asked).toBe(all.asked);
    const others: number[] = [];
    await run({ known, shots: 1, onProgress: ({ answered }) => others.push(answered.length) });
    expect(others).toHaveLength(6);
  });

  test("are to any questions with a seed, in the file's order", async () => {
    const found = await run({ limit: 3, seed: 5, maxTokens: 1 });
    // CPython 3.11: sorted(random.Random(5).sample(range(6), 3))
    expect(found.questions.map(({ id }) => Number(id) - 1)).toEqual([2, 4, 5]);
  });

  test("keep to the memory they may have", async () => {
    const roomy = await run({ maxTokens: 1, maxMemory: 2 ** 31 });
    expect(roomy.batch).toBe(6);
    await expect(run({ maxMemory: 1 << 20 })).rejects.toThrow(/one question at a time takes \d+ bytes/);
  });

  test("of questions longer than the context are to their end", async () => {
    const found = await run({ context: 24 });
    expect(found.cut).toBe(6);
    expect(found.questions.every(({ promptTokens }) => promptTokens === 12)).toBe(true);
    await expect(run({ context: 12 })).rejects.toThrow(/answers of 12 tokens in a context of 12/);
  });
});

describe("llq eval-gen", { timeout: 120_000 }, () => {
  const llq = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, "eval-gen", TINY_LLAMA, ...args], { encoding: "utf8" });
    return { status, stdout, stderr };
  }; // biome-ignore format: one call
  const common = [file, "--task", "custom", "-n", "4", "-j", "1"];

  test("saves, resumes, compares, and fails a bound by name", () => {
    const [save, junit, markdown, html] = ["run.json", "run.xml", "run.md", "run.html"].map((name) => join(folder, name));
    expect(llq(...common, "--save", save!).status).toBe(0);
    expect(llq(...common, "--save", save!)).toMatchObject({ status: 2, stderr: expect.stringMatching(/exists/) });
    const saved = JSON.parse(readFileSync(save!, "utf8"));
    // as a run that was killed leaves it
    const partial = { kind: saved.kind, schema: 1, model: saved.model, run: saved.run, questions: saved.questions.slice(0, 2) };
    writeFileSync(save!, JSON.stringify(partial));
    expect(llq(...common, "--save", save!, "--resume").status).toBe(0);
    expect(JSON.parse(readFileSync(save!, "utf8")).questions).toEqual(saved.questions);
    expect(llq(...common, "--save", save!, "--resume", "--max-tokens", "3")).toMatchObject({ status: 2, stderr: expect.stringMatching(/run\.json: is of another model or of other options than this run\n hint: .*--force/) });
    expect(JSON.parse(readFileSync(save!, "utf8")).questions).toEqual(saved.questions);
    const gate = llq(...common, "--baseline", save!, "--max-drop", "0.1", "--min-accuracy", "0.9", "--junit", junit!, "--markdown", markdown!, "--html", html!, "--json");
    expect(gate.status).toBe(1);
    expect(gate.stderr).toMatch(/min-accuracy broken: 0\.00 %/);
    const { comparison, gate: verdict } = JSON.parse(gate.stdout);
    expect(comparison).toMatchObject({ lost: [], gained: [], drop: 0, p: 1 });
    expect(verdict.result).toBe("failed");
    expect(readFileSync(junit!, "utf8")).toMatch(/tests="2" failures="1"/);
    expect(readFileSync(markdown!, "utf8")).toMatch(/lost, gained/);
    expect(readFileSync(html!, "utf8")).toMatch(/min-accuracy broken[\s\S]*Questions that turned/);
    expect(llq(...common, "-n", "5", "--baseline", save!)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/was asked other questions, or in other words/),
    });
  }); // biome-ignore format: long calls

  test("takes no more memory than it may have, and asks as many questions at once as fit", () => {
    const long = write("long.jsonl", starts.map((start) => `${"The cat sat on the mat. ".repeat(110)}${start}`));
    const maxTokens = 16;
    const lengths = readWrittenQuestions(long, task, "llq").map(({ prompt }) => tokenizer.encode(prompt).length);
    const shape = { context: Math.max(...lengths) + maxTokens, kvType: "f32", threads: 2 } as const;
    const most = teamBytes(generateMemory(model, { ...shape, sequences: 3 + 1 })()) + 100_000;
    const args = [long, "--task", "custom", "--kv-type", "f32", "-n", String(maxTokens), "-c", "1024", "-j", "2", "--json", "--max-memory", `${most}B`];
    const rss = new URL("../bench/rss.mjs", import.meta.url).pathname;
    const found = spawnSync(process.execPath, ["--import", rss, PROGRAM, "eval-gen", TINY_LLAMA, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe", "pipe"] });
    expect(found.stderr).not.toContain("error");
    expect(JSON.parse(found.stdout).batch).toBe(3);
    expect(JSON.parse(found.output[3]!).maxRssKib * 1024).toBeLessThanOrEqual(most);
  }); // biome-ignore format: long calls

  test.each<[string, string[], number, RegExp]>([
    ["a task that is none", [file, "--task", "x"], 2, /Allowed choices are gsm8k/],
    ["another task's file", [file, "--task", "gsm8k"], 3, /no question of GSM8K/],
    ["no file", ["nowhere.jsonl", "--task", "gsm8k"], 3, /nowhere\.jsonl/],
    ["shots of nothing", [file, "--task", "custom", "--shots", "2"], 2, /--examples/],
    ["a drop from nothing", [file, "--task", "custom", "--max-drop", "0.1"], 2, /--base-model or --baseline/],
    ["code that is not run", [file, "--task", "humaneval", "--min-accuracy", "0.1"], 2, /not executed/],
    [
      "a baseline that is none",
      [file, "--task", "custom", "--baseline", file],
      3,
      /not valid JSON|no result of/,
    ],
    ["no chat template", [file, "--task", "custom", "--chat"], 2, /chat template/],
    [
      "more shots than examples",
      [file, "--task", "custom", "--examples", shown, "--shots", "3"],
      2,
      /3 shots, but 2/,
    ],
  ])("refuses %s", (_, args, status, message) => {
    const found = llq(...args);
    expect(found.stderr).toMatch(message);
    expect(found.stderr).not.toContain("bug in llq");
    expect({ status: found.status, stdout: found.stdout }).toEqual({ status, stdout: "" });
  });
});
