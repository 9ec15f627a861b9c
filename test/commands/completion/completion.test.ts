import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMANDS } from "../../../src/commands/index.js";
import { RECIPES } from "../../../src/quant/recipes/recipes.js";
import { DIGESTS } from "../../../src/run/measure/hash.js";
import { scratchFolder } from "../../support/scratch.js";

// The shells themselves say what they would offer. zsh's own functions need a terminal, so there it is looked at
// what they are given.

const CLI = new URL("../../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
for (const name of ["model one.gguf", "model.gguf", "text.txt"]) writeFileSync(join(folder, name), "");
mkdirSync(join(folder, "models"));

const scripts = Object.fromEntries(
  ["bash", "zsh", "fish"].map((shell) => {
    const { stdout } = spawnSync(process.execPath, [CLI, "completion", shell], { encoding: "utf8" });
    writeFileSync(join(folder, `llq.${shell}`), stdout);
    return [shell, stdout];
  }),
);

const has = (shell: string) => spawnSync(shell, ["-c", "true"]).status === 0;

/** What bash would offer for the last of the words, as it splits them. */
function bash(...words: string[]): string[] {
  const script = `. ./llq.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _llq; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const options = { encoding: "utf8", cwd: folder } as const;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", "llq", ...words], options);
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

test("bash: every command, and every option of each as commander has it", async () => {
  const names = Object.keys(COMMANDS);
  expect(bash("").sort()).toEqual([...names, "help", "--help", "--version"].sort());
  expect(bash("help", "").sort()).toEqual(names.sort());
  for (const [name, load] of Object.entries(COMMANDS)) {
    const { options } = await load();
    const flags = options.flatMap(({ short, long }) => [short, long]).filter((flag) => flag !== undefined);
    const general = ["-q", "--quiet", "-v", "--verbose", "-h", "--help"];
    expect(bash(name, "-").sort(), name).toEqual([...new Set([...flags, ...general])].sort());
  }
});

const types = RECIPES.map(({ name }) => name);

test.each([
  [["quan"], ["quantize"]],
  [["eval-"], ["eval-ppl", "eval-choice", "eval-gen"]],
  [["nothing", "--"], []],
  [
    ["quantize", "m", "--tar"],
    ["--target-size", "--target-bpw"],
  ],
  [["quantize", "m", "--type", ""], types],
  [["hash", "m", "--type", ""], [...DIGESTS]],
  [["quantize", "m", "--part", ""], []],
  [
    ["quantize", "m", "-t", "Q4_K"],
    ["Q4_K_S", "Q4_K_M"],
  ],
  [
    ["quantize", "m", "-t", "Q8_0,Q4_K"],
    ["Q8_0,Q4_K_S", "Q8_0,Q4_K_M"],
  ],
  [
    ["quantize", "m", "--bits", ""],
    ["1", "2", "3", "4", "5", "6", "8"],
  ],
  [["quantize", "m", "--output-type", "Q6"], ["Q6_K"]],
  [["quantize", "m", "--effort", "p"], ["plain"]],
  [
    ["quantize", "m", "--effort", "="],
    ["plain", "full", "max"],
  ],
  [["quantize", "m", "--effort", "=", "f"], ["full"]],
  [["convert", "m", "--type", "b"], ["bf16"]],
  [["quantize", "m", "--threads", ""], []],
  [["quantize", "m", "--include-weights", ""], []],
  [
    ["quantize", "mod"],
    ["model.gguf", "models", "model one.gguf"],
  ],
  [["quantize", "m", "--imatrix", "model."], ["model.gguf"]],
  [["eval-ppl", "m", "te"], ["text.txt"]],
  [["eval-ppl", "m", "t", "--max-kld", ""], []],
  [
    ["completion", ""],
    ["bash", "zsh", "fish"],
  ],
])("bash: llq %j", (words, offered) => {
  expect(bash(...words).sort()).toEqual([...offered].sort());
});

test("the scripts are what their shells read", () => {
  for (const [shell, script] of Object.entries(scripts)) {
    expect(script.split("\n").length).toBeGreaterThan(20);
    if (!has(shell)) continue;
    const { status, stderr } = spawnSync(shell, ["-n", `llq.${shell}`], { encoding: "utf8", cwd: folder });
    expect({ shell, status, stderr }).toEqual({ shell, status: 0, stderr: "" });
  }
});

/** Lines of a shell that stands for zsh's functions: what it would offer. */
const ZSH = `
_describe() { for each in "\${(@P)@[-1]}"; do print -r -- "\${\${each//\\\\\\\\:/}%%:*}"; done }
_files() { print files }
compadd() { shift; print -l -- "$@" }
compdef() { :; }
. ./llq.zsh
words=("$@"); CURRENT=$#; PREFIX=$words[-1]; _llq
`;

test.runIf(has("zsh"))("zsh", async () => {
  const zsh = (...words: string[]) => {
    const options = { encoding: "utf8", cwd: folder } as const;
    const { stdout, stderr } = spawnSync("zsh", ["-fc", ZSH, "zsh", "llq", ...words], options);
    expect(stderr).toBe("");
    return stdout.split("\n").filter((line) => line !== "");
  };
  expect(zsh("")).toEqual(Object.keys(COMMANDS));
  expect(zsh("quantize", "m", "--type", "")).toEqual(types);
  expect(zsh("quantize", "m", "--threads", "")).toEqual([]);
  expect(zsh("quantize", "")).toEqual(["files"]);
  expect(zsh("completion", "")).toEqual(["bash", "zsh", "fish"]);
  for (const name of Object.keys(COMMANDS)) expect(zsh(name, "-").sort()).toEqual(bash(name, "-").sort());
});

test.runIf(has("fish"))("fish", () => {
  const fish = (line: string) => {
    const options = { encoding: "utf8", cwd: folder, env: { ...process.env, HOME: folder } } as const;
    const script = `source llq.fish; complete -C ${JSON.stringify(line)}`;
    const { stdout, stderr } = spawnSync("fish", ["--no-config", "-c", script], options);
    expect(stderr).toBe("");
    return stdout.split("\n").flatMap((each) => each.split("\t")[0] || []);
  };
  expect(fish("llq ").sort()).toEqual(Object.keys(COMMANDS).sort());
  expect(fish("llq quantize m --type ").sort()).toEqual(types.toSorted());
  expect(fish("llq quantize m --threads ")).toEqual([]);
  expect(fish("llq eval-ppl m te")).toEqual(["text.txt"]);
  expect(fish("llq completion ").sort()).toEqual(["bash", "fish", "zsh"]);
  for (const name of Object.keys(COMMANDS)) {
    const long = bash(name, "--").filter((flag) => flag.startsWith("--"));
    expect(fish(`llq ${name} --`).sort()).toEqual(long.sort());
  }
});
