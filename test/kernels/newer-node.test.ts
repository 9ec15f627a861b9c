import { expect, test } from "vitest";
import { adviceOnNode } from "../../src/kernels/newer-node.js";

test("who has waited on an older Node is told that a newer one is faster, and nobody else", () => {
  const advice = adviceOnNode({ node: "20.20.2", arch: "x64", seconds: 61 });
  expect(advice).toBe(
    "this is Node 20.20.2: with Node 24 the same takes about half the time (products are 1.6 to 2.4 times as fast)",
  );
  expect(adviceOnNode({ node: "22.12.0", arch: "x64", seconds: 3600 })).toContain("this is Node 22.12.0");
  for (const other of [
    { node: "24.1.0", arch: "x64", seconds: 3600 },
    { node: "26.12.1", arch: "x64", seconds: 3600 },
    { node: "20.20.2", arch: "arm64", seconds: 3600 },
    { node: "20.20.2", arch: "x64", seconds: 59 },
  ]) {
    expect(adviceOnNode(other)).toBeUndefined();
  }
});
