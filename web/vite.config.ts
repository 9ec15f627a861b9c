import { defineConfig } from "vite";

/** What browsers want to see before a page may share memory between its threads. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

// biome-ignore lint/style/noDefaultExport: Vite looks for one
export default defineConfig({
  root: import.meta.dirname,
  // From any folder of any host.
  base: "./",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    // Workers and modules of WebAssembly are files of their own: a policy that allows no data: addresses stays simple.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  worker: { format: "es" },
  server: { headers: ISOLATED },
  preview: { headers: ISOLATED },
});
