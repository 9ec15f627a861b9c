import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DTypeName } from "../formats/dtype.js";
import { chooseTypes, isQuantizable } from "../src/quant/choose.js";
import type { ModelFacts } from "../src/quant/conditions.js";
import { findRecipe } from "../src/quant/recipes.js";
import type { Role } from "../src/tensor.js";

const GOLDEN = new URL("golden/plans/", import.meta.url);

/** A model given by its shapes alone; see golden/make/plans.py, which reads the same file. */
interface Shapes {
  readonly name: string;
  readonly architecture: string;
  readonly family: string;
  readonly layers: number;
  readonly heads: number;
  readonly headsKv: number;
  readonly tied?: boolean;
  readonly dims: Readonly<Record<string, number>>;
}
type Row = readonly [name: string, role: Role, dims: string[], firstLayer?: number, endLayer?: number];

const { families, models }: { families: Record<string, Row[]>; models: Shapes[] } = JSON.parse(
  readFileSync(new URL("models.json", GOLDEN), "utf8"),
);

type Described = Parameters<typeof chooseTypes>[1][number];

function tensorsOf({ family, layers, tied, dims }: Shapes): Described[] {
  return families[family]!.flatMap(([name, role, lengths, first = 0, end = layers]): Described[] => {
    if (role === "output" && tied) return [];
    const tensor = { role, shape: lengths.map((length) => dims[length]!), dtype: "F32" as const };
    if (!name.includes("{i}")) return [{ ...tensor, name, layer: undefined }];
    return Array.from({ length: end - first }, (_, i) => {
      const layer = first + i;
      return { ...tensor, name: name.replace("{i}", String(layer)), layer };
    });
  });
}

function factsOf({ architecture, layers, heads, headsKv, dims }: Shapes, imatrix: boolean): ModelFacts {
  const gqa = headsKv === 0 ? 0 : heads / headsKv;
  return { architecture, layers, gqa, experts: dims["experts"] ?? 0, imatrix };
}

interface Section {
  readonly base: string;
  readonly exceptions: ReadonlyMap<string, string>;
}

/** The sections of a golden plan by title, its ranges of layers written out. */
function readGolden(model: string): Map<string, Section> {
  const text = readFileSync(new URL(`${model}.txt`, GOLDEN), "utf8");
  const sections = text.split("\n\n").map((part): [string, Section] => {
    const [head, ...lines] = part.trim().split("\n");
    const [, title, base] = /^\[(.*)\] ?(.*)$/.exec(head!)!;
    return [title!, { base: base!, exceptions: new Map(lines.flatMap(expandLine)) }];
  });
  return new Map(sections);
}

/** `blk.0-2,5.x q6_K` to the type of each of the four tensors. */
function expandLine(line: string): [string, string][] {
  const [pattern, type = ""] = line.split(" ");
  const [, ranges, rest] = /^blk\.([\d,-]+)\.(.*)$/.exec(pattern!) ?? [];
  if (ranges === undefined) return [[pattern!, type]];
  return ranges.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i): [string, string] => [
      `blk.${first! + i}.${rest}`,
      type,
    ]);
  });
}

/** ggml writes the K of the k-quants large and everything else small. */
function ggmlName(dtype: DTypeName): string {
  return dtype.toLowerCase().replace(/_k$/, "_K");
}

describe.each(models)("$name gets llama-quantize's types", (model) => {
  const golden = readGolden(model.name);
  const tensors = tensorsOf(model);
  const open = tensors.filter(isQuantizable);

  test("which tensors stay F32", () => {
    const stay = tensors.filter((tensor) => !isQuantizable(tensor)).map(({ name }) => name);
    expect(stay.sort()).toEqual([...golden.get("stay")!.exceptions.keys()].sort());
  });

  const recipes = [...golden.keys()].filter((title) => title !== "stay" && !title.includes(" "));
  test.each(recipes)("%s", (name) => {
    for (const imatrix of [false, true]) {
      const { base, exceptions } = (imatrix && golden.get(`${name} imatrix`)) || golden.get(name)!;
      const choices = chooseTypes(findRecipe(name), tensors, factsOf(model, imatrix));
      const chosen = new Map(tensors.map((tensor, i) => [tensor.name, ggmlName(choices[i]!.dtype)]));
      const expected = open.map((tensor) => [tensor.name, exceptions.get(tensor.name) ?? base]);
      expect(open.map((tensor) => [tensor.name, chosen.get(tensor.name)])).toEqual(expected);
    }
  });
});
