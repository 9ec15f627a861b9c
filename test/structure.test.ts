import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "./support/scratch.js";

const scratch = scratchFolder();

/** A house of these files; returns its folder. */
function house(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(scratch, name);
  for (const folder of ["assembly", "formats", "src", "test", "web"])
    mkdirSync(join(root, folder), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function checkLayers(root: string): { status: number | null; problems: string } {
  const { status, stderr } = spawnSync(process.execPath, ["test/structure.mjs", root], { encoding: "utf8" });
  return { status, problems: stderr };
}

test("this house, and one with imports that go down", () => {
  expect(checkLayers(".")).toEqual({ status: 0, problems: "" });
  const root = house("good", {
    "formats/a.ts": "export interface A {}\n",
    "src/rows/b.ts": 'export type { A } from "../../formats/a.js";\n',
    "src/cli.ts": 'import "./rows/b.js";\nimport { x } from "elsewhere";\nawait import("./rows/b.js");\n',
  });
  expect(checkLayers(root)).toEqual({ status: 0, problems: "" });
});

test.each([
  ["a type from above", 'import type { Net } from "../net/net.js";'],
  ["more than a line", 'import {\n  type A,\n  type Net,\n} from "../net/net.js";'],
  ["passed on", 'export * from "../net/net.js";'],
  ["for its effect", 'import "../net/net.js";'],
  ["when it runs", 'const net = await import("../net/net.js");'],
])("an import that goes up: %s", (name, line) => {
  const root = house(name, { "src/net/net.ts": "", "src/rows/low.ts": `${line}\n` });
  const { status, problems } = checkLayers(root);
  expect(status).toBe(1);
  expect(problems).toMatch(
    /^src\/rows\/low.ts imports src\/net\/net.ts, which does not stand below it: .*\n$/,
  );
});

test("an import of what stands beside, of a test, and a file without a place", () => {
  const root = house("beside", {
    "src/arch/a.ts": 'import "../tokenizer/b.js";\n',
    "src/tokenizer/b.ts": 'import "../../test/c.js";\n',
    "src/attic/d.ts": "",
  });
  const { status, problems } = checkLayers(root);
  expect(status).toBe(1);
  expect(problems).toContain("src/arch/a.ts imports src/tokenizer/b.ts, which stands beside it");
  expect(problems).toContain("src/tokenizer/b.ts imports test/c.ts, which does not stand below it");
  expect(problems).toContain("src/attic/d.ts has no place");
});

test("a folder of more files than one takes in; families may be many", () => {
  const files = (folder: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${folder}/file${i}.ts`, ""]));
  const root = house("crowded", {
    ...files("src/net", 16),
    ...files("src/net/mixers", 15),
    ...files("src/arch/families", 40),
    ...files("assembly/blocks/iq", 20),
  });
  const { status, problems } = checkLayers(root);
  expect(status).toBe(1);
  expect(problems).toMatch(/^src\/net has 16 files: .*\n$/);
});

test("a file of more lines than one job takes; tables that a program writes may be long", () => {
  const lines = (count: number) => "\n".repeat(count);
  const root = house("long", {
    "src/model.ts": lines(300),
    "src/lora.ts": lines(301),
    "assembly/table.ts": `// A table. Written by make.py; do not edit.\n${lines(400)}`,
  });
  const { status, problems } = checkLayers(root);
  expect(status).toBe(1);
  expect(problems).toMatch(/^src\/lora.ts has 301 lines, more than 300: .*\n$/);
});

test("biome finds a circle that types alone make", () => {
  const root = house("circle", {
    "src/a.ts": 'import type { B } from "./b.js";\n\nexport interface A {\n  readonly b: B;\n}\n',
    "src/b.ts": 'import type { A } from "./a.js";\n\nexport interface B {\n  readonly a: A;\n}\n',
    "src/c.ts": 'import type { A } from "./a.js";\n\nexport interface C {\n  readonly a: A;\n}\n',
  });
  copyFileSync("biome.json", join(root, "biome.json"));
  const biome = resolve("node_modules/@biomejs/biome/bin/biome");
  const { status, stdout } = spawnSync(process.execPath, [biome, "lint", "--reporter=github"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(status).toBe(1);
  const found = [...stdout.matchAll(/noImportCycles,file=.*?(\w+\.ts)/g)].map(([, file]) => file);
  expect(found.sort()).toEqual(["a.ts", "b.ts"]);
});

test("what runs in browsers uses nothing of Node's; comments may speak of it", () => {
  const root = house("browsers", {
    "src/rows/a.ts": 'import { readSync } from "node:fs";\n',
    "src/rows/b.ts": "export const free = () => process.availableMemory();\n",
    "src/rows/c.ts": '// Node has process.pid and a Buffer\nimport { closeSync } from "#host/files";\n',
    "src/hub/d.ts": 'import { readSync } from "node:fs";\n',
  });
  const { status, problems } = checkLayers(root);
  expect(status).toBe(1);
  expect(problems.split("\n")).toEqual([
    expect.stringMatching(/^src\/rows\/a.ts uses "node:fs", which browsers have not/),
    expect.stringMatching(/^src\/rows\/b.ts uses process.a, which browsers have not/),
    "",
  ]);
});
