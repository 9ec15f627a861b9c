// Copies the declarations that the library's own lead to from dist/ to dist/types/, which is what a package needs of them.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const found = new Set(["src/index.d.ts"]);
for (const file of found) {
  const text = readFileSync(join(dist, file), "utf8");
  for (const [, path] of text.matchAll(/(?:\bfrom |\bimport\(|^import )"(\.[^"]+)\.js"/gm)) {
    found.add(posix.join(posix.dirname(file), `${path}.d.ts`));
  }
}
const target = join(dist, "types");
rmSync(target, { recursive: true, force: true });
for (const file of found) {
  const text = readFileSync(join(dist, file), "utf8");
  const names = [...new Set([...text.matchAll(/\bWebAssembly\.(\w+)/g)].map(([, name]) => name))];
  mkdirSync(dirname(join(target, file)), { recursive: true });
  writeFileSync(join(target, file), `${text}${names.length > 0 ? declared(names) : ""}`);
}

/**
 * TypeScript knows WebAssembly by the library "dom" alone, which programs for Node need not have. Where it has it, these
 * join its own.
 * @param {string[]} names
 */
function declared(names) {
  const interfaces = names.map((name) => `interface ${name} {}`).join(" ");
  return `declare global { namespace WebAssembly { ${interfaces} } }\n`;
}
