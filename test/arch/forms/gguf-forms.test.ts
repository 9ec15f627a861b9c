import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { MetaField } from "../../../formats/container.js";
import { ggufHeader, meta } from "../../../formats/gguf/gguf-write.js";
import { openModel } from "../../../src/model.js";
import { planConvert, planKeep } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { execute } from "../../../src/run/write/execute.js";
import { refusal } from "../../support/build/build.js";
import { familyPerplexity, GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// What GGUF files say otherwise than llq's own, and llama.cpp understands.
const scratch = scratchFolder();
const expected: Record<string, number> = JSON.parse(
  readFileSync(new URL("../../golden/forms.json", import.meta.url), "utf8"),
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

/** The family's F32 GGUF with its tensors in another form. */
async function reformed(family: string, change: (pieces: readonly Piece[]) => Piece[]) {
  const plain = join(scratch, `${family}-plain.gguf`);
  await execute(planConvert(openModel(join(GOLDEN_FAMILIES, family)), findRecipe("F32")), plain, {
    threads: 0,
    force: true,
  });
  const { container, metadata } = openModel(plain);
  const file = readFileSync(plain);
  const pieces = change(
    [...container.tensors].map(([name, { shape, offset, byteLength }]) => ({
      ...{ name, shape, bytes: file.subarray(offset, offset + byteLength) },
    })),
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

const perplexity = (family: string): number =>
  JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "reference.json"), "utf8")).perplexity;

describe("queries, keys and values", () => {
  /** Those whose name matches become one tensor, where the keys' or the values' would be the last. */
  const fused = (pieces: readonly Piece[], which: RegExp): Piece[] =>
    pieces.flatMap((piece) => {
      if (!which.test(piece.name) || !/attn_[qkv]\./.test(piece.name)) return [piece];
      if (!piece.name.includes("attn_v.")) return [];
      const parts = ["q", "k", "v"].map((part) => {
        const name = piece.name.replace("attn_v.", `attn_${part}.`);
        return pieces.find((each) => each.name === name)!;
      });
      const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
      return {
        name: piece.name.replace("attn_v.", "attn_qkv."),
        shape: [rows, ...piece.shape.slice(1)],
        bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
      };
    });

  // llama-perplexity (0c1e57098) gives the first three the perplexity of the file they were made of, and refuses the fourth.
  test.each([
    ["below each other, their biases apart", /weight/],
    ["below each other in the first block alone", /^blk\.0\./],
    ["below each other in the first block alone, their biases apart", /^blk\.0\..*weight/],
    ["apart, their biases below each other", /bias/],
  ])("%s", async (_, which) => {
    const model = openModel(await reformed("qwen2", (pieces) => fused(pieces, which)));
    expect((await familyPerplexity("qwen2", model)) / perplexity("qwen2")).toBeCloseTo(1, 5);
    const copy = join(scratch, "same-form.gguf");
    await execute(planKeep(model), copy, { threads: 0, force: true });
    expect((await familyPerplexity("qwen2", openModel(copy))) / perplexity("qwen2")).toBeCloseTo(1, 5);
  });

  test.each(["phi3", "chatglm3", "qwen", "gpt-neox"])("of %s apart, in the second block", async (family) => {
    const { headCount, headCountKv, keyLength } = openModel(join(GOLDEN_FAMILIES, family)).hparams;
    const path = await reformed(family, (pieces) =>
      pieces.flatMap((piece) => {
        const { name, shape, bytes } = piece;
        if (!name.startsWith("blk.1.attn_qkv")) return [piece];
        const each = bytes.length / shape[0]!;
        const rows = [headCount, headCountKv, headCountKv].map((heads) => heads * keyLength);
        return rows.map((count, i) => {
          const first = rows.slice(0, i).reduce((sum, before) => sum + before, 0);
          return {
            name: name.replace("qkv", "qkv"[i]!),
            shape: [count, ...shape.slice(1)],
            bytes: bytes.subarray(first * each, (first + count) * each),
          };
        });
      }),
    );
    expect((await familyPerplexity(family, openModel(path))) / perplexity(family)).toBeCloseTo(1, 5);
  });

  test("of other lengths are refused", async () => {
    const path = await reformed("qwen2", (pieces) =>
      fused(pieces, /^blk\.0\..*weight/).map((piece) => {
        if (piece.name !== "blk.0.attn_qkv.weight") return piece;
        const [rows, columns] = piece.shape as [number, number];
        return { ...piece, shape: [rows - 1, columns], bytes: piece.bytes.subarray(4 * columns) };
      }),
    );
    expect(refusal(() => openModel(path))).toMatch(
      /^bad-input: tensor blk\.0\.attn_qkv\.weight is 63 x \d+; the metadata asks for 64 x /,
    );
  });
});

describe("experts", () => {
  const apart = (piece: Piece): Piece[] => {
    const { name, shape, bytes } = piece;
    const [experts = 0, ...matrix] = shape;
    if (!name.includes("_exps")) return [piece];
    const size = bytes.length / experts;
    return Array.from({ length: experts }, (_, e) => ({
      name: name.replace("_exps", `.${e}`),
      shape: matrix,
      bytes: bytes.subarray(e * size, (e + 1) * size),
    }));
  };
  test("kept apart, as converters of 2023 wrote them", async () => {
    const model = openModel(await reformed("mixtral", (pieces) => pieces.flatMap(apart)));
    expect((await familyPerplexity("mixtral", model)) / perplexity("mixtral")).toBeCloseTo(1, 5);
    const copy = join(scratch, "stacked.gguf");
    await execute(planKeep(model), copy, { threads: 0, force: true });
    expect((await familyPerplexity("mixtral", openModel(copy))) / perplexity("mixtral")).toBeCloseTo(1, 5);
  });

  test.each(["mixtral", "qwen2-moe", "qwen3-moe"])(
    "%s with gates and ups in one tensor, as --fuse-gate-up-exps writes them",
    async (family) => {
      const path = await reformed(family, (pieces) =>
        joined(
          pieces.map((piece) => ({
            ...piece,
            name: piece.name.replace(/ffn_(gate|up)_exps/, "ffn_gate_up_exps"),
          })),
        ),
      );
      expect((await familyPerplexity(family, openModel(path))) / perplexity(family)).toBeCloseTo(1, 5);
    },
  );

  const FUSED = ["gemma4-moe", "mistral-4"];
  test.each(FUSED)(
    "of %s with gates and ups in tensors of their own, where others have one for both",
    async (family) => {
      const path = await reformed(family, (pieces) =>
        pieces.flatMap(({ name, shape, bytes }) => {
          const [experts, rows, columns] = shape as [number, number, number];
          if (!name.includes("gate_up")) return [{ name, shape, bytes }];
          const size = bytes.length / experts / 2;
          return ["gate", "up"].map((which, half) => ({
            name: name.replace("gate_up", which),
            shape: [experts, rows / 2, columns],
            bytes: Buffer.concat(
              Array.from({ length: experts }, (_, e) =>
                bytes.subarray((2 * e + half) * size, (2 * e + half + 1) * size),
              ),
            ),
          }));
        }),
      );
      const model = openModel(path);
      expect(model.tensors.filter(({ role }) => role === "ffn_up_exps")).toHaveLength(2);
      expect((await familyPerplexity(family, model)) / perplexity(family)).toBeCloseTo(1, 5);
    },
  );

  test("of which one is missing are refused", async () => {
    const path = await reformed("mixtral", (pieces) =>
      pieces.flatMap(apart).filter((piece) => piece.name !== "blk.1.ffn_up.1.weight"),
    );
    expect(refusal(() => openModel(path))).toContain("the experts of blk.1.ffn_up are not all there");
  });
});
