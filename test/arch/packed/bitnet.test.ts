import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { logitsOf } from "../../support/logits.js";

// Weights of three values, as transformers' pack_weights has them; golden/make/families_2026/ternary.py.
const folder = new URL("../../golden/bitnet-packed/", import.meta.url).pathname;

test("packed weights of three values say what transformers' says of them unpacked", async () => {
  const { tokens, positions } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const bytes = gunzipSync(readFileSync(join(folder, "logits.f32.gz")));
  const expected = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const logits = await logitsOf(openModel(folder), Int32Array.from(tokens.slice(0, positions)));
  const range = Math.max(...expected) - Math.min(...expected);
  const largest = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0);
  expect(largest / range).toBeLessThanOrEqual(2e-4);
});
