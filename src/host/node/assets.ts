import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { HostAssets } from "../types.js";

// Files of this package beside its code: modules of WebAssembly, the entry of threads and catalogues of languages. A program
// that was bundled with llq has its code somewhere else, so each is looked for in two places.

/** By the name in the package; what package.json calls it to its own code. */
const OWN: Readonly<Record<string, string>> = { "package.json": "#package", "program/worker.js": "#worker" };

/** As a file with imports has it; bundles of CommonJS have none. */
function ownPath(): string {
  const { url } = import.meta;
  return url === undefined ? __filename : fileURLToPath(url);
}

export const { codePath, findInstalled, readCompressed }: HostAssets = {
  codePath: ownPath,
  // In the package that this code belongs to; else in an llq that is installed where the code is.
  findInstalled: (name) => {
    const code = ownPath();
    const places = [
      () => createRequire(code).resolve(OWN[name] ?? `#${name.replace(/^.*\/|\.\w+$/g, "")}`),
      () => inPackage(code, name),
    ];
    for (const place of places) {
      try {
        return place();
      } catch {}
    }
    return undefined;
  },
  readCompressed: (path) => (path.endsWith(".gz") ? gunzipSync : brotliDecompressSync)(readFileSync(path)),
};

function inPackage(code: string, name: string): string {
  const folder = dirname(createRequire(code).resolve("llq/package.json"));
  const path = name === "package.json" ? join(folder, name) : join(folder, "dist", name);
  if (!existsSync(path)) throw new Error("another version, perhaps");
  return path;
}
