import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const ROOT = new URL("../..", import.meta.url).pathname;
const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const folder = scratchFolder();
const installed = join(folder, "node_modules/llq");

/** The tarball, as npm would install it; its dependencies are those that are here. */
beforeAll(() => {
  run("npm", "pack", "--ignore-scripts", "--pack-destination", folder, ROOT);
  mkdirSync(installed, { recursive: true });
  run("tar", "xzf", join(folder, `llq-${own.version}.tgz`), "-C", installed, "--strip-components=1");
  for (const name of [...Object.keys(own.dependencies), "@types/node", "undici-types"]) {
    mkdirSync(join(folder, "node_modules", name, ".."), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
}, 120_000);

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
  expect({ command, args, status, stdout: status === 0 ? "" : stdout + stderr }).toMatchObject({ status: 0 });
  return stdout;
}

test("a thread reads neither what opens models nor what commands have in common", () => {
  const program = join(installed, "dist/program");
  const read = new Set(["worker.js"]);
  for (const name of read) {
    const code = readFileSync(join(program, name), "utf8");
    for (const [, other] of code.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) read.add(other!);
  }
  expect([...read].sort()).toEqual(["base.js", "rolldown-runtime.js", "work.js", "worker.js"]);
});

test("the package has at most 600 kB beside what browsers get, and that 320 kB, and says where it is from", () => {
  const browser = join(ROOT, "dist/browser");
  const forBrowsers = readdirSync(browser)
    .map((name) => gzipSync(readFileSync(join(browser, name)), { level: 9 }).length)
    .reduce((sum, length) => sum + length);
  expect(forBrowsers).toBeLessThanOrEqual(320_000);
  expect(statSync(join(folder, `llq-${own.version}.tgz`)).size - forBrowsers).toBeLessThanOrEqual(600_000);
  for (const field of [
    "repository",
    "homepage",
    "bugs",
    "license",
    "description",
    "main",
    "types",
    "exports",
  ]) {
    expect(own[field]).toBeTruthy();
  }
  expect(own.keywords).toContain("gguf");
  for (const path of [own.main, own.types, own.bin.llq]) expect(existsSync(join(installed, path))).toBe(true);
  expect(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8")).toContain(`\n## ${own.version}\n`);
});

test("the README's first command runs from a tarball", () => {
  run(process.execPath, join(installed, own.bin.llq), "quantize", TINY_LLAMA, "-o", "q4.gguf", "--bits", "4");
  expect(run(process.execPath, join(installed, own.bin.llq), "--version").trim()).toBe(own.version);
});

const PROGRAM = `import { execute, findRecipe, openModel, type Plan, planQuantize } from "llq";

async function main(): Promise<void> {
  const plan: Plan = planQuantize(openModel(process.argv[2]!), findRecipe("Q4_0"));
  const { byteLength } = await execute(plan, process.argv[3]!, { threads: 2, force: true });
  console.log(byteLength);
}

void main();
`;

test.each([
  ["node16", "node16"],
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
])("strict programs of module %s, resolution %s see its types", (module, moduleResolution) => {
  writeFileSync(join(folder, "program.ts"), PROGRAM);
  const compilerOptions = {
    ...{
      module,
      moduleResolution,
      target: "es2022",
      lib: ["es2022"],
      types: ["node"],
      strict: true,
      noEmit: true,
    },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  run(process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json");
});

test.each(["esm", "cjs"])("bundled into one file of %s it finds its modules and threads", (format) => {
  writeFileSync(join(folder, "program.ts"), PROGRAM);
  const output = format === "esm" ? "bundle.mjs" : "bundle.cjs";
  const options = ["program.ts", "--platform", "node", "--format", format, "--file", output];
  run(process.execPath, join(ROOT, "node_modules/rolldown/bin/cli.mjs"), ...options);
  const size = run(process.execPath, output, TINY_LLAMA, "bundled.gguf").trim();
  expect(size).toBe(String(statSync(join(folder, "bundled.gguf")).size));
});

test("a bundle without llq around it says what it misses", () => {
  const alone = scratchFolder();
  writeFileSync(join(alone, "bundle.mjs"), readFileSync(join(folder, "bundle.mjs")));
  const { status, stderr } = spawnSync(process.execPath, ["bundle.mjs", TINY_LLAMA, "x"], {
    cwd: alone,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/modules.br of llq is not found/),
  });
  rmSync(join(folder, "bundle.mjs"));
});

test.each(["12.22.12", "18.20.4", "20.18.3"])(
  "Node %s is told that it is too old, in one line",
  (version) => {
    const preload = join(folder, "older.cjs");
    const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
    writeFileSync(preload, `Object.defineProperty(process, "versions", { value: ${versions} });`);
    const args = ["--require", preload, join(installed, own.bin.llq), "--help"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({
      ...{ status: 71, stdout: "" },
      stderr: `error: llq needs Node 20.19 or newer, and this is Node ${version}\n`,
    });
    expect(own.engines.node).toBe(">=20.19");
  },
);
