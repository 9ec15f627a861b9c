import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const page = readFileSync(new URL("../../docs/from-llama-cpp.md", import.meta.url), "utf8");

const help = new Map<string, string>();

/** What the command's help says. */
function helpOf(command: string): string {
  const known = help.get(command);
  if (known !== undefined) return known;
  const { status, stdout } = spawnSync(process.execPath, [CLI, command, "--help"], { encoding: "utf8" });
  expect({ command, status }).toEqual({ command, status: 0 });
  help.set(command, stdout);
  return stdout;
}

/** Rows of a section: what is typed to llq. */
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const rows = section.split("\n").filter((line) => line.startsWith("| `"));
    const own = rows.flatMap((row) =>
      [
        ...row
          .split(" | ")
          .at(-1)!
          .matchAll(/`([^`]+)`/g),
      ].map(([, code]) => code!),
    );
    return [section.split("\n")[0]!, own] as const;
  });

test.each(sections)("%s: every command and option of llq's is there", (name, own) => {
  expect(own.length).toBeGreaterThan(3);
  const commands = [...new Set(own.flatMap((code) => /^llq ([\w-]+)/.exec(code)?.[1] ?? []))];
  // A row of options alone is about the commands of its section, or llq's own of that name.
  const all = (name === "llama-quantize" ? ["quantize"] : commands).map(helpOf).join("\n");
  for (const code of own) {
    const command = /^llq ([\w-]+)/.exec(code)?.[1];
    const text =
      command === undefined ? `${all}${name === "mlx_lm" ? helpOf("convert") : ""}` : helpOf(command);
    for (const [option] of code.matchAll(/(?<=^| )--?[a-z][\w-]*/g)) {
      expect(`${code}: ${new RegExp(`(^|[ ,])${option}[ ,]`, "m").test(text)}`).toBe(`${code}: true`);
    }
  }
});
