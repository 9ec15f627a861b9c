import { defineConfig } from "vitest/config";

/** What worker threads and child processes run of dist/program is not counted: of these files tests see more than that. */
const ELSEWHERE = { lines: 0, branches: 0 };

// biome-ignore lint/style/noDefaultExport: vitest looks for one
export default defineConfig({
  test: {
    dir: "test",
    reporters: ["default", "./test/count-reporter.ts"],
    testTimeout: 120_000,
    // Folders of hundreds of models are removed at the end, on disks that others use too.
    hookTimeout: 120_000,
    // A core each; the default leaves one idle, half of a small machine.
    maxWorkers: "100%",
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "formats/**/*.ts"],
      reporter: ["text", "text-summary"],
      thresholds: {
        perFile: true,
        lines: 70,
        branches: 70,
        "src/{cli,main,ui,index}.ts": ELSEWHERE,
        "src/commands/**": ELSEWHERE,
        "src/worker/**": ELSEWHERE,
      },
    },
  },
});
