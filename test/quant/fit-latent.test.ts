import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generateMemory } from "../../src/generate/memory.js";
import { openOutline } from "../../src/outline.js";
import { kvCache } from "../../src/quant/fit/memory.js";
import { refusal } from "../support/build/build.js";

// What llama.cpp keeps of contexts of 256 and 512 tokens; golden/make/fit.py --kv.
const golden: Record<string, [number, number]> = JSON.parse(
  readFileSync(new URL("../golden/fit/latent.json", import.meta.url), "utf8"),
);
const outlineOf = (name: string) =>
  openOutline(new URL(`../golden/families/${name}`, import.meta.url).pathname);

test.each(Object.entries(golden))("the KV cache of %s is llama.cpp's", (name, expected) => {
  const outline = outlineOf(name);
  expect([256, 512].map((context) => kvCache(outline, context, "f16").bytes)).toEqual(expected);
  expect(refusal(() => kvCache(outline, 256, "q8_0"))).toMatch(/^usage: heads of \d+ do not divide/);
});

test("generating keeps the latent in every thread, and the heads made of it in one each", () => {
  const statesOf = (name: string, threads: number) =>
    generateMemory(outlineOf(name), { context: 256, threads, activations: "f32" })().states;
  // beside a key of 32 + 8 numbers, the latent once more for the values
  expect([1, 2, 4].map((threads) => statesOf("youtu", threads))).toEqual(
    [1, 2, 4].map((threads) => threads * 2 * 256 * (40 + 32) * 2),
  );
  expect([1, 2, 4].map((threads) => statesOf("youtu/whole.gguf", threads))).toEqual([196608, 196608, 196608]);
});
