import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** What browsers want to see before a page may share memory between its threads. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** llq/browser as it was built: its worker and its threads have most of their code in one file, which bundling again would double. */
const LLQ = join(import.meta.dirname, "../dist/browser");
const files = readdirSync(LLQ).map((name) => [name, readFileSync(join(LLQ, name))] as const);
const digest = createHash("sha256");
for (const [, bytes] of files) digest.update(bytes);
/** Another build is another folder, so that caches cannot mix them. */
const folder = `llq-${digest.digest("hex").slice(0, 10)}`;

const llq: Plugin = {
  name: "llq",
  generateBundle(_, bundle) {
    for (const [name, source] of files) {
      this.emitFile({ type: "asset", fileName: `${folder}/${name}`, source });
    }
    // What is fetched only when it is asked for: Chinese of the engine, the sample text.
    const later = /zh\.gz$|\.txt$/;
    const all = [
      ...files.map(([name, bytes]) => [name, bytes] as const),
      ...Object.values(bundle).map(
        (each) => [each.fileName, "code" in each ? each.code : each.source] as const,
      ),
    ].filter(([name]) => !later.test(name));
    const sizes = all.map(([name, bytes]) => (name.endsWith(".gz") ? bytes.length : gzipSync(bytes).length));
    this.info(`the page takes ${(sizes.reduce((sum, size) => sum + size, 0) / 1000).toFixed(1)} kB in gzip`);
  },
};

// biome-ignore lint/style/noDefaultExport: Vite looks for one
export default defineConfig({
  root: import.meta.dirname,
  // From any folder of any host.
  base: "./",
  plugins: [llq],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    // Nothing becomes a data: address: the page's policy of what may be loaded stays simple.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: {
    format: "es",
    rolldownOptions: {
      external: ["llq/browser"],
      output: { paths: { "llq/browser": `../${folder}/browser.js` } },
    },
  },
  server: { headers: ISOLATED },
  preview: { headers: ISOLATED },
});
