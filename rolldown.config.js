import { readFileSync } from "node:fs";

// The program and its threads as a few files: to start, some 330 would have to be read, by each thread anew.

const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

export default {
  input: { cli: "dist/src/cli.js", worker: "dist/src/worker/worker.js" },
  platform: "node",
  external: Object.keys(dependencies),
  output: { dir: "dist/program", cleanDir: true, comments: false, chunkFileNames: "[name].js" },
};
