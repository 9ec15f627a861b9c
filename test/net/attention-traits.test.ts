import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pairVectors } from "../../src/kernels/products.js";
import { openModel } from "../../src/model.js";
import { logitsOf } from "../support/logits.js";
import { bits, FAMILIES, feed, withTeam } from "../support/team.js";

// What attention may have beside heads, in families that have it: each says in pieces and on threads what it says of a text
// at once, which test/arch/families.test.ts compares with transformers.

pairVectors();

/** Gates; sinks in windows; chunks, temperature and norms without weights after RoPE; temperature; layers without RoPE; narrow values. */
const NAMES = [
  "afmoe",
  "gpt-oss",
  "llama4",
  "ministral3",
  "smollm3-odd",
  "olmo3",
  "exaone4",
  "cohere2",
  "mimo2",
  "granite-swa",
];

test.each(NAMES)("%s says in pieces, and on threads, what it says at once", async (family) => {
  const model = openModel(`${FAMILIES}${family}`);
  const { vocabSize } = model.hparams;
  const { tokens } = JSON.parse(readFileSync(join(FAMILIES, family, "reference.json"), "utf8"));
  const chunk: number[] = tokens.slice(0, 120);
  const expected = (await logitsOf(model, Int32Array.from(chunk))).slice(-vocabSize);
  const range = Math.max(...expected) - Math.min(...expected);
  const said: string[] = [];
  for (const [threads, piece] of [
    [0, chunk.length],
    [0, 1],
    [2, 7],
    [3, 50],
  ] as const) {
    const logits = await withTeam(model, { threads }, (team) => feed(team, chunk, { piece }));
    const off = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    // Where keys have gone out of a window the two kernels cut what they add up at other places.
    expect(off / range).toBeLessThan(1e-6);
    said.push(bits(logits));
  }
  expect(new Set(said).size).toBe(1);
});
