// Copies the declarations that the library's own lead to from dist/ to dist/types/, which is what a package needs of them.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
/** What programs import: llq and llq/browser. */
const ENTRIES = ["src/index.d.ts", "src/browser/index.d.ts"];
const found = new Set(ENTRIES);
/** What the library exports, and not only names. */
const exported = new Set();
for (const file of found) {
  const text = readFileSync(join(dist, file), "utf8");
  for (const [, path] of text.matchAll(/(?:\bfrom |\bimport\(|^import )"(\.[^"]+)\.js"/gm)) {
    const other = posix.join(posix.dirname(file), `${path}.d.ts`);
    found.add(other);
    if (ENTRIES.includes(file)) exported.add(other);
  }
}
const target = join(dist, "types");
rmSync(target, { recursive: true, force: true });
for (const file of found) {
  const whole = readFileSync(join(dist, file), "utf8");
  // What families and layers are made of is explained where it is written: the package must stay below 600 kB, beside what browsers get.
  const isInner = /^src\/(arch|host|net|rows)\//.test(file) && !exported.has(file);
  const text = isInner ? whole.replace(/^ *\/\*\*[^]*?\*\/\n/gm, "") : whole;
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
