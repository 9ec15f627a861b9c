import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DTypeName } from "../../formats/dtype.js";
import { chooseTypes, isQuantizable, type TypeOptions } from "../../src/quant/recipes/choose.js";
import type { ModelFacts } from "../../src/quant/recipes/conditions.js";
import { findWritableType, matches, parseOverride } from "../../src/quant/recipes/override.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { checkTensorTypes, parseTensorType } from "../../src/quant/recipes/tensor-types.js";
import type { Role } from "../../src/role.js";
import { refusal } from "../support/build/build.js";

const GOLDEN = new URL("../golden/plans/", import.meta.url);

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
  return { architecture, layers, gqa, experts: dims["experts"] ?? 0, imatrix, isGguf: false };
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

/** llama-quantize's options in the titles of golden plans, and ours. */
const OPTIONS: Readonly<Record<string, TypeOptions>> = {
  "--pure": { pure: true },
  "--leave-output-tensor": { leaveOutput: true },
  "--output-tensor-type q8_0": { outputType: "Q8_0" },
  "--token-embedding-type f16": { embeddingType: "F16" },
  "--output-tensor-type q5_K --token-embedding-type q8_0": { outputType: "Q5_K", embeddingType: "Q8_0" },
  "--tensor-type ffn_down=q6_K": { overrides: [parseOverride("ffn_down=Q6_K")] },
  "--tensor-type attn_v=q4_K": { overrides: [parseOverride("attn_v=Q4_K")] },
  "--tensor-type blk\\.[0-3]\\.attn=q8_0 --tensor-type attn_=q5_0": {
    overrides: [parseOverride("blk.[0-3].attn*=Q8_0"), parseOverride("/attn_/=Q5_0")],
  },
};

/** The same options as they are, expressions and all. */
function optionsOf(title: string): TypeOptions {
  const words = title.split(" ");
  const after = (option: string) => words.flatMap((word, i) => (words[i - 1] === option ? [word] : []));
  const [outputType, embeddingType] = ["--output-tensor-type", "--token-embedding-type"].map((option) =>
    after(option).map(findWritableType).at(0),
  );
  return {
    tensorTypes: after("--tensor-type").map((text) => parseTensorType(text)),
    pure: words.includes("--pure"),
    leaveOutput: words.includes("--leave-output-tensor"),
    outputType,
    embeddingType,
  };
}

describe.each(models)("$name gets llama-quantize's types", (model) => {
  const golden = readGolden(model.name);
  const tensors = tensorsOf(model);
  const open = tensors.filter(isQuantizable);

  test("which tensors stay F32", () => {
    const stay = tensors.filter((tensor) => !isQuantizable(tensor)).map(({ name }) => name);
    expect(stay.sort()).toEqual([...golden.get("stay")!.exceptions.keys()].sort());
  });

  const expectChoices = (title: string, name: string, imatrix: boolean, options?: TypeOptions) => {
    const { base, exceptions } = golden.get(title)!;
    const choices = chooseTypes(findRecipe(name), tensors, factsOf(model, imatrix), options);
    const chosen = new Map(tensors.map((tensor, i) => [tensor.name, ggmlName(choices[i]!.dtype)]));
    const expected = open.map((tensor) => [tensor.name, exceptions.get(tensor.name) ?? base]);
    expect(open.map((tensor) => [tensor.name, chosen.get(tensor.name)])).toEqual(expected);
  };

  const titles = [...golden.keys()].filter((title) => title !== "stay");
  const recipes = titles.filter((title) => !title.includes(" "));
  test.each(recipes)("%s", (name) => {
    expectChoices(name, name, false);
    const guided = `${name} imatrix`;
    expectChoices(golden.has(guided) ? guided : name, name, true);
  });

  const options = titles.filter((title) => title.includes(" --"));
  // llama-quantize ignores this one where the embedding serves as output; llq leaves that.
  const ours = options.filter((title) => !(model.tied && title.endsWith("--leave-output-tensor")));
  test.each(ours)("%s", (title) => {
    const [name, ...rest] = title.split(" ");
    expectChoices(title, name!, false, optionsOf(title));
    const ours = OPTIONS[rest.join(" ")];
    if (ours !== undefined) expectChoices(title, name!, false, ours);
  });
});

describe("options", () => {
  const model = models.find(({ name }) => name === "Llama-3.2-1B")!;
  const tensors = tensorsOf(model);
  const typesWith = (options: TypeOptions) =>
    new Map(
      chooseTypes(findRecipe("Q4_K_M"), tensors, factsOf(model, false), options).map(({ dtype }, i) => [
        tensors[i]!.name,
        dtype,
      ]),
    );

  test("an override changes what it names and nothing else", () => {
    const before = typesWith({});
    const after = typesWith({ overrides: [parseOverride("blk.[0-3].*=Q8_0")] });
    for (const [name, dtype] of before) {
      const named = /^blk\.[0-3]\./.test(name) && dtype !== "F32";
      expect([name, after.get(name)]).toEqual([name, named ? "Q8_0" : dtype]);
    }
  });

  test("an override wins over every other option, and when it is the default", () => {
    const types = typesWith({
      overrides: [parseOverride("token_embd=Q4_K")],
      embeddingType: "F16",
      outputType: "Q8_0",
      leaveOutput: true,
      pure: true,
    });
    expect(types.get("token_embd.weight")).toBe("Q4_K");
  });

  test("the output is left where the embedding serves as output", () => {
    expect(typesWith({ leaveOutput: true }).get("token_embd.weight")).toBe("F32");
  });
});

describe("patterns of --tensor", () => {
  const tensor = { name: "blk.12.ffn_down.weight", role: "ffn_down" as const };

  test.each([
    ["ffn_down", true],
    ["ffn", false],
    ["blk.12.ffn_down.weight", true],
    ["blk.12.ffn_down", false],
    ["blk.*.weight", true],
    ["*", true],
    ["blk.1?.ffn_*", true],
    ["blk.?.ffn_*", false],
    ["blk.1[0-2].*", true],
    ["blk.1[34].*", false],
    ["blk+12*", false],
    ["(blk).12*", false],
    ["BLK.12*", false],
    ["/ffn/", true],
    ["/^ffn/", false],
    ["/blk\\.(1|12)\\.ffn_(up|down)\\.weight$/", true],
    ["/(?=blk)/", true],
  ])("%s", (pattern, expected) => {
    expect(matches(parseOverride(`${pattern}=Q8_0`), tensor)).toBe(expected);
  });

  test.each([
    ["ffn_down", "usage: --tensor ffn_down: a role or a glob, an equals sign and a type are needed"],
    ["=Q8_0", "usage: --tensor =Q8_0: a role or a glob, an equals sign and a type are needed"],
    ["a=b=c", "usage: --tensor a=b=c: a role or a glob, an equals sign and a type are needed"],
    ["a=Q9_0", "usage: tensor type Q9_0 is unknown"],
    ["blk.[3-0].*=Q8_0", "usage: --tensor blk.[3-0].*: not a glob"],
    ["/blk(/=Q8_0", "usage: --tensor /blk(/: not a regular expression: Unterminated group"],
    ["/[[:digit:]]/=Q8_0", "usage: --tensor /[[:digit:]]/: classes such as [[:digit:]] are not understood"],
  ])("%s is refused", (text, message) => {
    expect(refusal(() => parseOverride(text))).toBe(message);
  });

  test("types are known in any case", () => {
    expect(parseOverride("a=q6_k").dtype).toBe("Q6_K");
  });
});

describe("expressions of --tensor-type", () => {
  test.each([
    ["attn_v", "usage: --tensor-type attn_v: a regular expression, an equals sign and a type are needed"],
    ["=q8_0", "usage: --tensor-type =q8_0: a regular expression, an equals sign and a type are needed"],
    ["attn_v=", "usage: --tensor-type attn_v=: a regular expression, an equals sign and a type are needed"],
    ["*=q8_0", "usage: --tensor-type *: not a regular expression: Nothing to repeat"],
    ["attn_v=q9", "usage: tensor type q9 is unknown"],
  ])("%s is refused", (text, message) => {
    expect(refusal(() => parseTensorType(text))).toBe(message);
  });

  test.each([
    ["Q8_0", ["nothing=q4_0"], "usage: --tensor-type nothing is found in no name of a tensor"],
    ["F16", ["attn_v=q4_0"], "usage: --tensor-type changes nothing of F16, as in llama-quantize"],
    ["Q8_0", ["nothing=q4_0", "attn_v=q4_0"], ""],
  ])("of %s with %j", (recipe, texts, message) => {
    const types = texts.map((text) => parseTensorType(text));
    const open = [{ name: "blk.0.attn_v.weight" }];
    const check = () => checkTensorTypes(open, findRecipe(recipe), types);
    if (message === "") expect(check).not.toThrow();
    else expect(refusal(check)).toBe(message);
  });
});

describe("names of types", () => {
  test.each([
    ["Q4_K_M", "q4_k_m", "Q4KM", "q4-k-m", "Q4_K", "q4k"],
    ["Q8_0", "q80", "Q8-0"],
    ["IQ2_XXS", "iq2xxs"],
    ["BF16", "bf16"],
  ])("%s has others", (name, ...others) => {
    for (const other of others) expect(findRecipe(other).name).toBe(name);
  });

  test.each([
    ["q4", "Q4_K_M (--bits 4)"],
    ["4bit", "Q4_K_M (--bits 4)"],
    ["int8", "Q8_0 (--bits 8)"],
    ["fp16", "F16"],
    ["Q4_K_X", "Q4_K_S"],
  ])("%s is answered with %s", (name, meant) => {
    const hint = expect.stringContaining(`did you mean ${meant}? known: F32`);
    expect(() => findRecipe(name)).toThrow(
      expect.objectContaining({ message: `unknown type ${name}`, hint }),
    );
  });
});
