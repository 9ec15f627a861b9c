import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LlqError } from "../formats/errors.js";
import { t } from "./language/t.js";

// Files of this package beside its code: modules of WebAssembly, the entry of threads and catalogues of languages. A program
// that was bundled with llq has its code somewhere else, so each is looked for in two places.

/** By the name in the package; what package.json calls it to its own code. */
const OWN: Readonly<Record<string, string>> = { "package.json": "#package", "program/worker.js": "#worker" };

/** As a file with imports has it; bundles of CommonJS have none. */
function codePath(): string {
  const { url } = import.meta;
  return url === undefined ? __filename : fileURLToPath(url);
}

/**
 * Where a file of dist/ (or package.json) is: in the package that this code belongs to; else in an llq that is installed
 * where the code is.
 * @throws LlqError `system` when it is nowhere
 */
export function installedPath(name: string): string {
  const code = codePath();
  const places = [
    () => createRequire(code).resolve(OWN[name] ?? `#${name.replace(/\.br$/, "")}`),
    () => inPackage(code, name),
  ];
  for (const place of places) {
    try {
      return place();
    } catch {}
  }
  throw new LlqError("system", t`${code}: ${name} of llq is not found`, {
    hint: t`llq must be installed where a bundle with it runs: it reads modules of WebAssembly and starts threads`,
  });
}

function inPackage(code: string, name: string): string {
  const folder = dirname(createRequire(code).resolve("llq/package.json"));
  const path = name === "package.json" ? join(folder, name) : join(folder, "dist", name);
  if (!existsSync(path)) throw new Error("another version, perhaps");
  return path;
}
