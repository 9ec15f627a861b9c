import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ARCHITECTURES } from "../../src/arch/index.js";
import { COMMANDS } from "../../src/commands/index.js";
import { withModels } from "../readme.js";

const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("README lists every family as the registry has it (npm run readme)", () => {
  expect(text).toBe(withModels(text));
  for (const { covers, classes } of ARCHITECTURES) {
    expect(covers.length).toBeGreaterThan(0);
    for (const name of classes) expect(text).toContain(name);
  }
});

test("a row says of which year its newest model is, if that is this year or the last", () => {
  expect(text).toContain("| Qwen3.5 and Qwen3.6 | 2026 | `Qwen3_5ForCausalLM`");
  expect(text).toContain("| Qwen3 | 2025 | `Qwen3ForCausalLM`");
  expect(text).toContain("| GPT-2 |  | `GPT2LMHeadModel`");
  // A family that is made of another has a year of its own.
  const years = new Map(ARCHITECTURES.map(({ covers, year }) => [covers[0], year]));
  expect(years.get("OLMo 2")).toBeUndefined();
  expect(years.get("DeepSeek V2 and V2.5")).toBeUndefined();
});

test("a family that is not listed shows", () => {
  expect(withModels(text, ARCHITECTURES.slice(1))).not.toBe(text);
});

test("no class of config.json stands for two families that both accept it", () => {
  const open = ARCHITECTURES.filter(({ accepts }) => accepts === undefined).flatMap(({ classes }) => classes);
  expect(new Set(open).size).toBe(open.length);
});

const CHINESE = readFileSync(new URL("../../README.zh-CN.md", import.meta.url), "utf8");

/** What people would copy: lines of code blocks that begin with llq, and code of that kind within lines. */
function commandLines(page: string): string[] {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block!.split("\n"));
  const inline = [...page.matchAll(/`(llq [a-z].*?)`/g)].map(([, code]) => code!);
  return [...blocks, ...inline]
    .map((line) => line.replace(/^npx /, ""))
    .filter((line) => /^llq [a-z]/.test(line));
}

test.each([
  ["README.md", text],
  ["README.zh-CN.md", CHINESE],
])("%s: every command and option that it shows is there", async (_, page) => {
  const lines = commandLines(page);
  expect(lines.length).toBeGreaterThan(10);
  for (const line of lines) {
    const command = await COMMANDS[line.split(" ")[1]!]?.();
    expect(command, line).toBeDefined();
    const options = command!.options.flatMap(({ long, short }) => [long, short]);
    for (const [option] of line.replace(/"[^"]*"|'[^']*'/g, "").matchAll(/(?<= )--?[a-z][\w-]*/g))
      expect(options, line).toContain(option);
  }
});

test("README.zh-CN.md names classes that are there", () => {
  const classes = new Set(ARCHITECTURES.flatMap((each) => each.classes));
  const named = [...CHINESE.matchAll(/`(\w+(?:ForCausalLM|ForConditionalGeneration|HeadModel|GLMModel))`/g)];
  expect(named.length).toBeGreaterThan(20);
  for (const [, name] of named) expect(classes, name).toContain(name);
});
