import { expect, test, vi } from "vitest";
import { chooseFast } from "../../../src/commands/shared/measure/fast.js";
import type { Fused } from "../../../src/kernels/products.js";

const engine = vi.hoisted(() => ({ fused: undefined as Fused | undefined, asked: 0 }));
vi.mock("../../../src/net/products/fused.js", () => ({
  chooseFused: () => {
    engine.asked++;
    return engine.fused;
  },
}));

/** What chooseFast says on stderr meanwhile, and what comes of it. */
function asked(exact: Record<string, boolean>): [fast: boolean | undefined, told: string] {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    const fast = chooseFast(true, exact);
    return [fast, write.mock.calls.map(([text]) => String(text)).join("")];
  } finally {
    write.mockRestore();
  }
}

test("without --fast nothing is tried", () => {
  expect(chooseFast(undefined, { "--part": true })).toBeUndefined();
  expect(engine.asked).toBe(0);
});

test("an engine that has no fused products that are right computes exactly, and says so", () => {
  const [fast, told] = asked({});
  expect(fast).toBe(false);
  expect(told).toContain("--fast: this engine has no fused multiply-adds that are right");
});

test("one that has some says nothing", () => {
  engine.fused = { module: {} as WebAssembly.Module, bits: 128 };
  expect(asked({ "--save": false })).toEqual([true, ""]);
});

test("what others go on from excludes it", () => {
  expect(() => chooseFast(true, { "--part": false, "--save": true })).toThrow(
    "--fast and --save exclude each other",
  );
});
