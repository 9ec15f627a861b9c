import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openModel } from "../../src/model.js";
import { planQuantize } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";
import { FAMILIES } from "../support/team.js";

// What users bring that cannot be run: one line that says why, the documented exit status, and nothing on stdout but text.

const PROGRAM = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const quantized = join(folder, "Q4_0.gguf");
const cut = join(folder, "cut.gguf");
const noTokenizer = copyTinyLlama(folder, "no-tokenizer");
const notANumber = copyTinyLlama(folder, "not-a-number");

beforeAll(async () => {
  await execute(planQuantize(openModel(TINY_LLAMA), findRecipe("Q4_0")), quantized, { threads: 0 });
  copyFileSync(quantized, cut);
  truncateSync(cut, statSync(cut).size - 4096);
  for (const name of ["tokenizer.json", "tokenizer.model"]) rmSync(join(noTokenizer, name));
  const weights = join(notANumber, "model.safetensors");
  const bytes = readFileSync(weights);
  bytes.fill(0x7f, bytes.length - 4096); // 0x7f7f is a large number of BF16, its products are none of f32
  writeFileSync(weights, bytes);
});

function run(command: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", cwd: folder, input: "" });
  return { status, stdout, stderr };
}

const llq = (...args: string[]) => run(process.execPath, [PROGRAM, "generate", ...args]);
const family = (name: string) => `${FAMILIES}${name}`;

describe("llq generate", { timeout: 30_000 }, () => {
  it.each<[string, string[], number, RegExp]>([
    ["a file cut short", [cut, "a"], 3, /^error: .*cut\.gguf: /],
    ["no model", ["nowhere.gguf", "a"], 3, /^error: nowhere\.gguf: no such file/],
    ["a file that is none", [PROGRAM, "a"], 3, /^error: .*cli\.js: /],
    ["a model without a tokenizer", [noTokenizer, "a"], 3, /^error: .*no tokenizer here/],
    ["weights that give no numbers", [notANumber, "a"], 3, /^error: the model gives no numbers/],
    ["positions that were not learned", [family("gpt2"), "a", "-c", "513"], 2, /knows 512 positions.*\n hint: --context 512/],
    ["heads that do not divide", [family("llama"), "a", "--kv-type", "q8_0"], 2, /heads of 8 .*\n hint: --kv-type f16/],
    ["quantizing again", [quantized, "a", "--bits", "4"], 2, /is quantized already/],
    ["a context that no machine has", [TINY_LLAMA, "a", "-c", "1000000000"], 5, /generating takes \d+\.\d\d GB .*\n hint: .*a smaller --context/],
    ["no tokens wanted", [TINY_LLAMA, "a", "-n", "0"], 2, /-n, --max-tokens/],
    ["no context", [TINY_LLAMA, "a", "-c", "0"], 2, /-c, --context/],
    ["an adapter that is none", [TINY_LLAMA, "a", "--lora", "nowhere"], 3, /adapter_config\.json: no such file/],
  ])("%s", (_, args, status, message) => {
    const result = llq(...args);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toContain("bug in llq");
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
  }); // biome-ignore format: a case a line

  it("has too little memory", () => {
    const limited = `ulimit -v 8000000; exec "${process.execPath}" "${PROGRAM}" generate "${TINY_LLAMA}" a`;
    const { status, stdout, stderr } = run("sh", ["-c", limited]);
    expect({ status, stdout }).toEqual({ status: 5, stdout: "" });
    expect(stderr).toMatch(/^error: no address space .*\n hint: .*ulimit -v/);
  });

  it("begins by itself where there is no prompt", () => {
    for (const args of [[TINY_LLAMA], [TINY_LLAMA, ""]]) {
      const { status, stdout, stderr } = llq(...args, "-n", "3");
      expect({ status, stdout }).toEqual({ status: 0, stdout: "The National\n" });
      expect(stderr).toMatch(/^prompt 1 tokens/);
    }
  });

  it("warns of a context that the model was not trained for, and goes on", () => {
    const { status, stdout, stderr } = llq(TINY_LLAMA, "The little dog", "-n", "3", "-c", "257");
    expect({ status, stdout }).toEqual({ status: 0, stdout: " is a good\n" });
    expect(stderr).toMatch(/^warning: .* was trained with 256 tokens of context; .*\nprompt 5 tokens/);
    expect(llq(TINY_LLAMA, "a", "-n", "1", "-c", "256").stderr).toMatch(/^prompt/);
  });

  it.each([
    ["SIGTERM", 128 + 15],
    ["SIGINT", 128 + 2],
  ] as const)("keeps what was printed at %s", async (signal, status) => {
    const child = spawn(process.execPath, [PROGRAM, "generate", TINY_LLAMA, "The", "--context-shift"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.on("data", (data) => {
      stdout += data;
      if (stdout.length > 100 && !child.killed) child.kill(signal); // a second one ends it at once
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(status);
    expect(stdout).toMatch(/^ .{99,}\n$/s);
    expect(stderr).toMatch(/^prompt \d+ tokens.*\n/m);
    expect(stderr.endsWith(`error: stopped by ${signal}\n`)).toBe(true);
  });
});
