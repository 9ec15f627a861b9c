import { readFileSync } from "node:fs";
import { licenses } from "./rolldown.config.js";

// llq/browser and the threads it starts, with what they have in common beside them: any server of files serves it.

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

export default {
  input: { browser: "dist/src/browser/index.js", worker: "dist/src/browser/worker.js" },
  platform: "browser",
  transform: { define: { LLQ_VERSION: JSON.stringify(version) } },
  plugins: [licenses],
  output: {
    dir: "dist/browser",
    comments: false,
    minify: true,
    chunkFileNames: "[name].js",
    codeSplitting: { groups: [{ name: "shared", minShareCount: 2 }] },
  },
};
