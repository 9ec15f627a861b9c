import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest looks for one
export default defineConfig({
  test: {
    dir: "test",
    reporters: ["default", "./test/count-reporter.ts"],
    testTimeout: 120_000,
  },
});
