import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as library from "../../src/index.js";
import { unexportedTypes } from "../public-types.js";
import { scratchFolder } from "../support/scratch.js";

const ROOT = new URL("../..", import.meta.url).pathname;
const folder = scratchFolder();

/** The examples of a page in TypeScript. */
function examples(page: string): string[] {
  return [...readFileSync(join(ROOT, page), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)].map(
    ([, text]) => text!,
  );
}

test("every example is a program in strict TypeScript", () => {
  const pages = [...examples("docs/library.md"), ...examples("README.md")];
  expect(pages.length).toBeGreaterThan(8);
  const files = pages.map((text, i) => {
    // README's stops by a signal that the reader has
    const known = text.includes("signal)") ? "declare const signal: AbortSignal;\n" : "";
    writeFileSync(join(folder, `example-${i}.ts`), `${known}${text}export {};\n`);
    return `example-${i}.ts`;
  });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const compilerOptions = {
    ...{ module: "nodenext", target: "es2023", lib: ["es2023", "dom"], types: ["node"], noEmit: true },
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
    paths: { llq: [join(ROOT, "src/index.ts")] },
  };
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const tsc = [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json"];
  const { stdout } = spawnSync(process.execPath, tsc, { cwd: folder, encoding: "utf8" });
  expect(stdout).toBe("");
}, 120_000);

test("what the examples import is there when they run", () => {
  for (const text of examples("docs/library.md")) {
    const [, names] = /import \{([^}]*)\} from "llq"/.exec(text)!;
    for (const name of names!.split(",").map((each) => each.trim())) {
      if (name !== "" && !name.startsWith("type ")) expect(Object.keys(library)).toContain(name);
    }
  }
});

test("every type that a public declaration names is exported", () => {
  expect([...unexportedTypes(join(ROOT, "dist"))]).toEqual([]);
});

test("a type that is not exported would be found", () => {
  const types = join(folder, "types");
  mkdirSync(join(types, "src"), { recursive: true });
  writeFileSync(join(types, "src/index.d.ts"), 'export { one, type Two } from "./a.js";\n');
  writeFileSync(
    join(types, "src/a.d.ts"),
    "interface Inner {\n    x: number;\n}\nexport interface Two {\n    /** Not Other. */\n    inner: Inner;\n}\nexport declare function one(two: Two): void;\ninterface Other {\n}\n",
  );
  expect([...unexportedTypes(types)]).toEqual([["src/a.d.ts Inner", "Two"]]);
});
