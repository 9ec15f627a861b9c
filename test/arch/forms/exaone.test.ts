import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { changedCheckpoint } from "../../support/checkpoint.js";
import { convertedModel, familyPerplexity, GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// EXAONE 3, of which transformers has no class: its layers are Llama's under other names, so what transformers says of a Llama
// holds for a copy with these; what llama.cpp's converter makes of it, golden/make/exaone.py.

const folder = scratchFolder();
const golden = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../golden/${name}.json`, import.meta.url), "utf8"));
const names: Record<"tensors" | "fields" | "config", Record<string, unknown>> = golden("exaone-names");
const made: Record<string, { keys: Record<string, unknown>; tensors: Record<string, string> }> =
  golden("exaone");

/** What is usual, which the one or the other leaves out. */
const USUAL = /\.(vocab_size|attention\.(key|value)_length)$/;

test.each(Object.keys(made))("%s under EXAONE's names", async (family) => {
  const renamed = changedCheckpoint(join(GOLDEN_FAMILIES, family), join(folder, family), {
    tensors: (tensors) =>
      new Map(
        [...tensors].map(([name, stored]) => [
          Object.entries(names.tensors).reduce((text, [from, to]) => text.replace(from, String(to)), name),
          stored,
        ]),
      ),
    config: (config) => ({
      ...Object.fromEntries(
        Object.entries(config).map(([key, value]) => [names.fields[key] ?? key, value] as const),
      ),
      ...names.config,
    }),
  });
  const model = openModel(renamed);
  const reference = JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "reference.json"), "utf8"));
  expect(Math.abs((await familyPerplexity(family, model)) / reference.perplexity - 1)).toBeLessThan(1e-5);

  const gguf = await convertedModel(model, join(folder, `${family}.gguf`));
  expect(Math.abs((await familyPerplexity(family, gguf)) / reference.perplexity - 1)).toBeLessThan(1e-5);
  const { container } = gguf;
  const file = readFileSync(container.files[0]!);
  const hashes = [...container.tensors].map(([name, { offset, byteLength }]) => [
    name,
    createHash("sha256")
      .update(file.subarray(offset, offset + byteLength))
      .digest("hex"),
  ]);
  expect(Object.fromEntries(hashes)).toEqual(made[family]!.tensors);
  const ours = [...container.metadata].map(([key, { value }]) => [key, value] as const);
  // The converter goes by the field's name; llama.cpp's loader asks for the epsilon of an RMS norm.
  const theirs = Object.entries(made[family]!.keys).map(
    ([key, value]) => [key.replace("layer_norm_epsilon", "layer_norm_rms_epsilon"), value] as const,
  );
  const own = (keys: readonly (readonly [string, unknown])[]) =>
    Object.fromEntries(keys.filter(([key]) => key.startsWith("exaone.") && !USUAL.test(key)));
  expect(own(ours)).toEqual(own(theirs));
});
