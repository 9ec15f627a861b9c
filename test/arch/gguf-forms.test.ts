import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { MetaField } from "../../formats/container.js";
import { ggufHeader, meta } from "../../formats/gguf/gguf-write.js";
import { openModel } from "../../src/model.js";
import { planConvert, planKeep } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { execute } from "../../src/run/write/execute.js";
import { refusal } from "../support/build/build.js";
import { familyPerplexity, GOLDEN_FAMILIES } from "../support/families.js";
import { scratchFolder } from "../support/scratch.js";

// What GGUF files say otherwise than llq's own, and llama.cpp understands.
const scratch = scratchFolder();
const expected: Record<string, number> = JSON.parse(
  readFileSync(new URL("../golden/forms.json", import.meta.url), "utf8"),
);

/** The family's GGUF with other metadata. */
async function changedGguf(family: string, change: (metadata: Map<string, MetaField>) => void) {
  const plain = join(scratch, `${family}.gguf`);
  const model = openModel(join(GOLDEN_FAMILIES, family));
  await execute(planConvert(model, findRecipe("F32")), plain, { threads: 0, force: true });
  const opened = openModel(plain);
  const metadata = new Map(opened.metadata);
  change(metadata);
  const output = join(scratch, `${family}-changed.gguf`);
  await execute(planKeep({ ...opened, metadata }), output, { threads: 0, force: true });
  return openModel(output);
}

describe("RoPE that is stretched", () => {
  test.each([
    ["by a factor without a type", "llama.rope.scaling.factor", undefined],
    ["by the old key", "llama.rope.scale_linear", undefined],
    ["by a factor and its type", "llama.rope.scaling.factor", "linear"],
  ])("%s", async (_, key, type) => {
    const model = await changedGguf("llama", (metadata) => {
      metadata.set(key, meta.f32(4));
      if (type !== undefined) metadata.set("llama.rope.scaling.type", meta.string(type));
    });
    expect((await familyPerplexity("llama", model)) / expected["linear-rope"]!).toBeCloseTo(1, 5);
  });
});

test("a GGUF that does not say how its text is split is evaluated, with a remark", async () => {
  const model = await changedGguf("gpt2", (metadata) => metadata.delete("tokenizer.ggml.pre"));
  expect(model.vocab.pre).toBe("default");
  expect(model.remarks).toEqual([expect.stringContaining("no tokenizer.ggml.pre")]);
  expect((await changedGguf("gpt2", () => {})).remarks).toEqual([]);
});

/** The family's F32 GGUF with some tensors in another form: what `cut` makes of each, by name. */
async function reformed(
  family: string,
  cut: (name: string, shape: readonly number[], bytes: Buffer) => Piece[],
) {
  const plain = join(scratch, `${family}-plain.gguf`);
  await execute(planConvert(openModel(join(GOLDEN_FAMILIES, family)), findRecipe("F32")), plain, {
    threads: 0,
    force: true,
  });
  const { container, metadata } = openModel(plain);
  const file = readFileSync(plain);
  const pieces = joined(
    [...container.tensors].flatMap(([name, { shape, offset, byteLength }]) =>
      cut(name, shape, file.subarray(offset, offset + byteLength)),
    ),
  );
  const infos = pieces.map(({ name, shape }) => ({ name, shape, dtype: "F32" as const }));
  const { header, offsets, byteLength } = ggufHeader(metadata, infos);
  const bytes = Buffer.alloc(byteLength);
  bytes.set(header);
  for (const [i, piece] of pieces.entries()) bytes.set(piece.bytes, offsets[i]!);
  const output = join(scratch, `${family}-reformed.gguf`);
  writeFileSync(output, bytes);
  return output;
}

interface Piece {
  readonly name: string;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** Gates and ups of one name become one tensor, an expert's gate and then its up. */
function joined(pieces: readonly Piece[]): Piece[] {
  const names = new Set(pieces.map(({ name }) => name));
  return [...names].map((name) => {
    const [first, second] = pieces.filter((piece) => piece.name === name) as [Piece, Piece?];
    if (second === undefined) return first;
    const [experts, rows, columns] = first.shape as [number, number, number];
    const size = first.bytes.length / experts;
    const parts = Array.from({ length: experts }, (_, e) =>
      [first, second].map(({ bytes }) => bytes.subarray(e * size, (e + 1) * size)),
    );
    return { name, shape: [experts, 2 * rows, columns], bytes: Buffer.concat(parts.flat()) };
  });
}

describe("experts", () => {
  const apart = (name: string, shape: readonly number[], bytes: Buffer): Piece[] => {
    const [experts = 0, ...matrix] = shape;
    if (!name.includes("_exps")) return [{ name, shape, bytes }];
    const size = bytes.length / experts;
    return Array.from({ length: experts }, (_, e) => ({
      name: name.replace("_exps", `.${e}`),
      shape: matrix,
      bytes: bytes.subarray(e * size, (e + 1) * size),
    }));
  };
  const perplexity = (family: string): number =>
    JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "reference.json"), "utf8")).perplexity;

  test("kept apart, as converters of 2023 wrote them", async () => {
    const model = openModel(await reformed("mixtral", apart));
    expect((await familyPerplexity("mixtral", model)) / perplexity("mixtral")).toBeCloseTo(1, 5);
    const copy = join(scratch, "stacked.gguf");
    await execute(planKeep(model), copy, { threads: 0, force: true });
    expect((await familyPerplexity("mixtral", openModel(copy))) / perplexity("mixtral")).toBeCloseTo(1, 5);
  });

  test.each(["mixtral", "qwen2-moe", "qwen3-moe"])(
    "%s with gates and ups in one tensor, as --fuse-gate-up-exps writes them",
    async (family) => {
      const path = await reformed(family, (name, shape, bytes) => [
        { name: name.replace(/ffn_(gate|up)_exps/, "ffn_gate_up_exps"), shape, bytes },
      ]);
      expect((await familyPerplexity(family, openModel(path))) / perplexity(family)).toBeCloseTo(1, 5);
    },
  );

  test("of which one is missing are refused", async () => {
    const path = await reformed("mixtral", (name, shape, bytes) =>
      apart(name, shape, bytes).filter((piece) => piece.name !== "blk.1.ffn_up.1.weight"),
    );
    expect(refusal(() => openModel(path))).toContain("the experts of blk.1.ffn_up are not all there");
  });
});
