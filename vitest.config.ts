import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest looks for one
export default defineConfig({
  // As package.json has it of compiled code.
  resolve: { alias: [{ find: /^#host\/(.*)$/, replacement: `${import.meta.dirname}/src/host/node/$1.ts` }] },
  test: {
    dir: "test",
    reporters: ["default", "./test/count-reporter.ts"],
    // What is said is compared in English, whatever the language of who runs this.
    env: { LC_ALL: "C" },
    testTimeout: 120_000,
    // Folders of hundreds of models are removed at the end, on disks that others use too.
    hookTimeout: 120_000,
    // A core each; the default leaves one idle, half of a small machine.
    maxWorkers: "100%",
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "formats/**/*.ts"],
      reporter: ["text-summary", "json-summary"],
      reportsDirectory: "dist/coverage",
    },
  },
});
