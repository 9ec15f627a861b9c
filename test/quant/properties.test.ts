import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import { byteLength } from "../../formats/dtype.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { openModel } from "../../src/model.js";
import { parseBytes } from "../../src/quant/bytes.js";
import { type Plan, planQuantize } from "../../src/quant/plan.js";
import { parseOverride } from "../../src/quant/recipes/override.js";
import { findRecipe, RECIPES } from "../../src/quant/recipes/recipes.js";
import { splitBySize, splitLikeSource } from "../../src/quant/split.js";
import { TINY_LLAMA } from "../support/scratch.js";

// What holds of every plan, however it came about; a seed makes it the same everywhere.
fc.configureGlobal({ seed: 18, numRuns: 60 });

const model = openModel(TINY_LLAMA);
const TYPES = ["F32", "F16", "Q8_0", "Q4_K", "Q6_K", "Q4_0"] as const;
const PARTS = ["ffn_down", "attn_v", "blk.1.*", "output", "token_embd", "attn_q"] as const;

const recipe = fc.constantFrom(...RECIPES.filter(({ needsImatrix }) => needsImatrix !== true));
const overrides = fc.array(fc.tuple(fc.constantFrom(...PARTS), fc.constantFrom(...TYPES)), { maxLength: 3 });
const plan: fc.Arbitrary<Plan> = fc.tuple(recipe, overrides).map(([{ name }, changes]) =>
  planQuantize(model, findRecipe(name), {
    overrides: changes.map(([part, type]) => parseOverride(`${part}=${type}`)),
  }),
);

/** The header as a reader sees it, in a file that holds nothing but it and holes. */
function opened({ header, byteLength: size }: Plan) {
  const file = new Uint8Array(size);
  file.set(header);
  return readGguf(new BufferSource("x", file));
}

/** What every file must be: its tensors in order, aligned, without overlaps, the last up to its end. */
function checkLayout(part: Plan): void {
  const { tensors } = opened(part);
  expect([...tensors.keys()]).toEqual(part.tensors.map(({ tensor }) => tensor.name));
  let end = part.header.length;
  for (const { tensor, dtype, offset, byteLength: size } of part.tensors) {
    expect(tensors.get(tensor.name)).toMatchObject({ dtype, offset, byteLength: size, shape: tensor.shape });
    expect(size).toBe(byteLength(dtype, tensor.shape));
    expect(offset).toBe(Math.ceil(end / 32) * 32);
    end = offset + size;
  }
  expect(part.byteLength).toBe(Math.ceil(end / 32) * 32);
}

test("a plan is as large as it says, and has every tensor of the model once", () => {
  fc.assert(
    fc.property(plan, (each) => {
      checkLayout(each);
      const names = each.tensors.map(({ tensor }) => tensor.name);
      expect(names.toSorted()).toEqual(model.tensors.map(({ name }) => name).toSorted());
    }),
  );
});

test("parts of any size join to the whole", () => {
  fc.assert(
    fc.property(plan, fc.integer({ min: 1, max: 6_000_000 }), (each, limit) => {
      const parts = splitBySize(each, "x.gguf", limit);
      const joined = parts.flatMap((part) => part.plan.tensors);
      expect(joined.map(({ tensor, dtype }) => [tensor.name, dtype])).toEqual(
        each.tensors.map(({ tensor, dtype }) => [tensor.name, dtype]),
      );
      expect(new Set(parts.map(({ output }) => output)).size).toBe(parts.length);
      const sizes = parts.map(({ plan: part }) => part.byteLength - part.header.length);
      for (const [i, { plan: part }] of parts.entries()) {
        checkLayout(part);
        if (part.tensors.length > 1) expect(sizes[i]).toBeLessThanOrEqual(limit);
        // No part could have taken the first tensor of the next.
        const next = parts[i + 1]?.plan.tensors[0];
        if (next !== undefined)
          expect(sizes[i]! + Math.ceil(next.byteLength / 32) * 32).toBeGreaterThan(limit);
        if (parts.length === 1) continue;
        const { metadata } = opened(part);
        expect(["no", "count", "tensors.count"].map((key) => metadata.get(`split.${key}`)?.value)).toEqual([
          i,
          parts.length,
          each.tensors.length,
        ]);
      }
      expect(splitLikeSource(each, "x.gguf")).toEqual([{ plan: each, output: "x.gguf" }]);
    }),
  );
});

test("sizes with a unit are that many bytes", () => {
  const units = { B: 1, K: 1e3, MB: 1e6, G: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;
  const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999 }), unit, (n, each) => {
      expect(parseBytes("--size", `${n}${each}`)).toBe(n * units[each]);
    }),
  );
});
