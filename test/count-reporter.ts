import type { Reporter, TestModule } from "vitest/node";

/** Ends the run with one plain line of counts, for those who read logs by program. */
// biome-ignore lint/style/noDefaultExport: vitest takes a reporter's default export
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state !== "pending") counts[state]++;
      }
      if (module.state() === "failed" && counts.failed === 0) counts.failed++; // it did not even load
    }
    console.log(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}
