// The modules of WebAssembly as one compressed file: they have most of their code in common. `node release/modules.mjs [folder]`
// packs what is in the folder, dist/ of the repository unless another is named.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url));
const BROWSER = /-browser\.wasm$/;
const names = readdirSync(folder).filter((name) => name.endsWith(".wasm"));
const read = (wanted) =>
  Object.fromEntries(wanted.map((name) => [name.replace(/(-browser)?\.wasm$/, ""), readFileSync(join(folder, name))]));
const modules = read(names.filter((name) => !BROWSER.test(name)).sort());
/** As src/kernels/modules.ts reads them: a line with their lengths, and they. */
const packed = (some) => {
  const lengths = Object.fromEntries(Object.entries(some).map(([name, { length }]) => [name, length]));
  return Buffer.concat([Buffer.from(`${JSON.stringify(lengths)}\n`), ...Object.values(some)]);
};
const params = { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_SIZE_HINT]: 1 << 20 };
writeFileSync(join(folder, "modules.br"), brotliCompressSync(packed(modules), { params }));

// Browsers unpack gzip and no brotli; what generates, and what only Node compiles in its own way, they have no use for.
const inBrowsers = { kernels: BROWSER, products: /^products-i\d+\.wasm$/ };
mkdirSync(join(folder, "browser"), { recursive: true });
for (const [file, wanted] of Object.entries(inBrowsers)) {
  const some = read(names.filter((name) => wanted.test(name)).sort());
  writeFileSync(join(folder, `browser/${file}.gz`), gzipSync(packed(some), { level: 9 }));
}
