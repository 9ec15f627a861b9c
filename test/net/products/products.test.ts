import { describe, expect, test } from "vitest";
import { compileKernels, Kernels } from "../../../src/kernels/kernels.js";
import type { Products } from "../../../src/kernels/products.js";
import { fastestExact } from "../../../src/net/products/products.js";
import { prepareTrials, type Trial, WIDE_TRIAL } from "../../../src/net/products/trials.js";

// Which module is chosen: fakes take the plain kernels' place in their trials. They do nothing, so they are the fastest.

const compiled = compileKernels();
const plain = prepareTrials(new Kernels(compiled), "evaluation");
for (const { run } of plain) run();
const exact = plain.map(({ name, result }) => ({ name, bytes: Uint8Array.from(result()) }));
const fake: Products = { module: compiled, purpose: "evaluation", dot: "i32", bits: 128, wide: true };

/** Trials that come out right but for one byte of the one named, in one round. */
function trialsOf(wrong?: string, round = 0): Trial[] {
  return exact.map(({ name, bytes }) => {
    let rounds = 0;
    const spoilt = Uint8Array.from(bytes);
    spoilt[bytes.length - 1]! ^= 1;
    const isWrong = () => name === wrong && rounds === round + 1;
    return { name, run: () => void rounds++, result: () => (isWrong() ? spoilt : bytes) };
  });
}

const chosenOf = (trials: readonly Trial[]) => fastestExact(plain, [{ products: fake, trials }]);

describe("a module that is faster than the kernels", () => {
  test("is chosen when all its bytes are theirs", () => {
    expect(chosenOf(trialsOf())).toEqual(fake);
  });

  test.each(exact.map(({ name }) => name).filter((name) => name !== WIDE_TRIAL))(
    "is not chosen for one wrong byte in the trial %s",
    (name) => {
      expect(chosenOf(trialsOf(name))).toBeUndefined();
    },
  );

  test("is not chosen for one wrong byte in a later round, when the engine may have optimized it", () => {
    expect(chosenOf(trialsOf("f32", 17))).toBeUndefined();
  });

  test("and wrong with wide quants alone is chosen, but not for those", () => {
    expect(chosenOf(trialsOf(WIDE_TRIAL))).toEqual({ ...fake, wide: false });
  });

  test("gives way to one that is right, however slow", () => {
    const slow: Products = { ...fake, bits: 256 };
    const idle = trialsOf();
    const modules = [
      { products: fake, trials: trialsOf("Q4_K", 3) },
      { products: slow, trials: idle },
    ];
    expect(fastestExact(plain, modules)).toEqual(slow);
  });
});
