import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { byteLength } from "../../formats/dtype.js";
import { type Imatrix, openImatrix } from "../../formats/imatrix/imatrix.js";
import { openSensitivity, type Sensitivity, sensitivityFile } from "../../formats/sensitivity.js";
import { writeSensitivity } from "../../src/eval/sensitivity/sensitivity-file.js";
import { openModel } from "../../src/model.js";
import { allocate, type Option } from "../../src/quant/by-size/allocate.js";
import { planBySize } from "../../src/quant/by-size/by-size.js";
import { type Menu, menuOf } from "../../src/quant/by-size/menu.js";
import { measuredPrices, type PriceList } from "../../src/quant/by-size/prices.js";
import { priorOf } from "../../src/quant/by-size/priors.js";
import { factsOf, type Plan, planQuantize, type QuantizeOptions } from "../../src/quant/plan.js";
import { GUIDED } from "../../src/quant/recipes/candidates.js";
import { chooseTypes, settleTypes } from "../../src/quant/recipes/choose.js";
import { parseOverride } from "../../src/quant/recipes/override.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { appraise } from "../../src/run/measure/appraise.js";
import { createTokenizer } from "../../src/tokenizer/tokenizer.js";
import { Random } from "../support/random.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const model = openModel(TINY_LLAMA);
const golden = new URL("../golden/quantize/tiny-llama.imatrix.gguf", import.meta.url).pathname;
const imatrix = openImatrix(golden);
const text = new URL("../../samples/text.txt", import.meta.url).pathname;
const sensitivityPath = join(folder, "sensitivity.json");

beforeAll(async () => {
  const tokens = createTokenizer(model.vocab).encode(readFileSync(text, "utf8"));
  await writeSensitivity(
    sensitivityPath,
    { model, text, tokens },
    { context: 64, chunks: 4, bos: 1, imatrix },
  );
}, 120_000);

const sum = (options: readonly Option[], of: "bytes" | "price") =>
  options.reduce((total, option) => total + option[of], 0);

describe("allocate", () => {
  function randomTensors(random: Random): Option[][] {
    return Array.from({ length: 1 + random.below(5) }, () =>
      Array.from({ length: 1 + random.below(5) }, () => ({
        dtype: "Q4_K" as const,
        bytes: 32 * (1 + random.below(20)),
        price: random.below(1000) / 100,
      })),
    );
  }

  /** The least sum of prices within the capacity, by trying everything. */
  function optimum(tensors: readonly Option[][], capacity: number): number | undefined {
    const [first, ...rest] = tensors;
    if (first === undefined) return 0;
    let best: number | undefined;
    for (const { bytes, price } of first) {
      if (bytes > capacity) continue;
      const others = optimum(rest, capacity - bytes);
      if (others !== undefined && price + others < (best ?? Number.POSITIVE_INFINITY)) best = price + others;
    }
    return best;
  }

  test("fits, and is within one tensor's step of the best of all choices", () => {
    const random = new Random(7);
    for (let round = 0; round < 2000; round++) {
      const tensors = randomTensors(random);
      const capacity = 32 * (1 + random.below(90));
      const chosen = allocate(tensors, capacity);
      const best = optimum(tensors, capacity);
      expect(chosen === undefined).toBe(best === undefined);
      if (chosen === undefined || best === undefined) continue;
      expect(sum(chosen, "bytes")).toBeLessThanOrEqual(capacity);
      for (const [i, option] of chosen.entries()) expect(tensors[i]).toContain(option);
      const step = Math.max(
        ...tensors.map((options) => {
          const prices = options.map(({ price }) => price);
          return Math.max(...prices) - Math.min(...prices);
        }),
      );
      expect(sum(chosen, "price")).toBeLessThanOrEqual(best + step + 1e-9);
      expect(allocate(tensors, capacity)).toEqual(chosen);
    }
  });

  test("with room for everything takes the least price of each", () => {
    const random = new Random(8);
    for (let round = 0; round < 200; round++) {
      const tensors = randomTensors(random);
      const chosen = allocate(tensors, 1e9)!;
      for (const [i, { price }] of chosen.entries()) {
        expect(price).toBe(Math.min(...tensors[i]!.map((option) => option.price)));
      }
    }
  });
});

async function prices(
  sensitivity: Sensitivity | undefined,
  guide: Imatrix | undefined,
  threads = 2,
): Promise<PriceList> {
  return appraise(model, menuOf(model, { guide, imatrix: guide }), { imatrix: guide, sensitivity, threads });
}

function plan(list: PriceList, bytes: number, options: QuantizeOptions = {}): Plan {
  const all = { ...options, guide: options.imatrix };
  const found = planBySize(model, { bytes, of: "file" }, menuOf(model, all), list, all);
  if ("needed" in found) throw new Error(`needs ${found.needed}`);
  return found;
}

test("a price comes from the measurement whose error is nearest", () => {
  const errors = { Q2_K: 90, Q3_K: 100, Q5_K: 3, Q6_K: 1, Q8_0: 0.1 } as const;
  const measured = new Map([
    ["Q3_K", 100],
    ["Q6_K", 1],
  ] as const);
  // 4 nats for an error of 100, 0.01 for one of 1: in proportion, of the one that is fewer times off.
  const kld = new Map([
    ["Q3_K", 4],
    ["Q6_K", 0.01],
  ] as const);
  const byType = new Map(Object.entries(errors) as [keyof typeof errors, number][]);
  const found = measuredPrices({ kld }, { byType, measured });
  const expected = { Q2_K: 3.6, Q3_K: 4, Q5_K: 0.03, Q6_K: 0.01, Q8_0: 0.001 };
  for (const [type, price] of Object.entries(expected))
    expect(found.get(type as "Q2_K")).toBeCloseTo(price, 9);
});

describe("a file of a size", () => {
  const sizeOf = (name: string) => planQuantize(model, findRecipe(name), { imatrix }).byteLength;

  test("by measured prices costs less than the fixed mix of that size, and is as large to within a tensor's step", async () => {
    const list = await prices(openSensitivity(sensitivityPath), imatrix);
    const smallestStep = byteLength("Q4_K", [64, 256]) - byteLength("IQ4_XS", [64, 256]);
    for (const mix of ["Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M"]) {
      const { byteLength: bytes, bySize } = plan(list, sizeOf(mix), { imatrix });
      expect(bytes).toBeLessThanOrEqual(sizeOf(mix));
      expect(bytes).toBeGreaterThan(sizeOf(mix) - 8 * smallestStep);
      expect(bySize!.price).toBeLessThan(0.8 * bySize!.mix!.price);
    }
  });

  test("costs less the larger it may be, and the types in between are explained", async () => {
    const list = await prices(openSensitivity(sensitivityPath), imatrix);
    let before = Number.POSITIVE_INFINITY;
    for (let bytes = 1.6e6; bytes < 4.4e6; bytes += 1e5) {
      const { bySize, tensors } = plan(list, bytes, { imatrix });
      expect(bySize!.price).toBeLessThanOrEqual(before * 1.0001);
      before = bySize!.price;
      for (const { quote, byteLength: own, tensor } of tensors) {
        if (quote === undefined) continue;
        if (quote.smaller !== undefined) expect(quote.smaller.bytes).toBeLessThan(own);
        if (quote.larger !== undefined) expect(quote.larger.bytes).toBeGreaterThan(own);
        if (quote.larger !== undefined) expect(quote.larger.price, tensor.name).toBeLessThan(quote.price);
      }
    }
  });

  test("without a measurement gives no tensor less than the best fixed mix that fits", async () => {
    const list = await prices(undefined, undefined);
    for (const mix of ["Q2_K", "Q3_K_S", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q6_K"]) {
      const fixed = planQuantize(model, findRecipe(mix));
      const { tensors, bySize } = plan(list, fixed.byteLength + 40_000);
      const best = planQuantize(model, findRecipe(bySize!.mix!.name));
      expect(bySize!.mix!.byteLength).toBeGreaterThanOrEqual(fixed.byteLength - 32);
      for (const [i, { byteLength }] of tensors.entries()) {
        expect(byteLength).toBeGreaterThanOrEqual(best.tensors[i]!.byteLength);
      }
    }
  });

  test("is the fixed mix itself where nothing else is found to be cheaper", async () => {
    const list = await prices(openSensitivity(sensitivityPath), imatrix);
    const menu = menuOf(model, { guide: imatrix, imatrix });
    const q4 = menu.mixes.find(({ recipe }) => recipe.name === "Q4_K_M")!;
    // A greedy choice is lured by the cheapest byte, and then lacks the room that the mix makes use of.
    const lure = list.prices.map((each, i) => {
      const own = q4.choices[i]!.dtype;
      return new Map([...each.keys()].map((type) => [type, type === own ? 0 : 1]));
    });
    const { tensors, bySize } = plan({ kind: "measured", prices: lure }, sizeOf("Q4_K_M"), { imatrix });
    expect(bySize!.price).toBe(0);
    expect(tensors.map(({ dtype }) => dtype)).toEqual(q4.choices.map(({ dtype }) => dtype));
  });

  test("keeps the output at Q6_K or more, unless a measurement says that this costs a tenth", async () => {
    const menu = menuOf(model, { guide: undefined });
    const list = await prices(undefined, undefined);
    const outputOf = ({ tensors }: Plan) => tensors.find(({ tensor }) => tensor.role === "output")!.dtype;
    const bytes = planQuantize(model, findRecipe("Q4_K_S")).byteLength;
    const free = list.prices.map((each, i) =>
      menu.settled[i]!.kind === "output" ? new Map([...each.keys()].map((type) => [type, 0])) : each,
    );
    expect(outputOf(plan({ kind: "prior", prices: free }, bytes))).toBe("Q6_K");
    const measured = plan({ kind: "measured", prices: free }, bytes);
    expect(outputOf(measured)).toBe("Q2_K");
    expect(measured.bySize!.remarks.join()).toMatch(/output has less than Q6_K/);
    const tight = planBySize(model, { bytes: 1_420_000, of: "file" }, menu, list, { guide: undefined });
    expect("needed" in tight).toBe(false);
  });

  test("goes below Q2_K where an importance matrix guides, and is better there than the mixes of codebooks", async () => {
    const list = await prices(openSensitivity(sensitivityPath), imatrix);
    for (const mix of ["IQ1_M", "IQ2_XS", "IQ2_M", "IQ3_XXS"]) {
      const { byteLength: bytes, bySize, tensors } = plan(list, sizeOf(mix), { imatrix });
      expect(bytes).toBeLessThanOrEqual(sizeOf(mix));
      expect(bySize!.price).toBeLessThan(0.8 * bySize!.mix!.price);
      expect(tensors.some(({ dtype }) => dtype.startsWith("IQ2"))).toBe(true);
      for (const { tensor, dtype, weights } of tensors) {
        if (GUIDED.has(dtype)) expect(weights, tensor.name).toBeDefined();
      }
    }
  });

  test("has codebooks for guided tensors alone, and not those that are ruled out, nor mixes that have them", () => {
    const [unguided] = model.tensors.filter(({ name }) => name.includes("ffn_up")).map(({ name }) => name);
    const entries = new Map([...imatrix.entries].filter(([name]) => name !== unguided));
    const guide = { ...imatrix, entries };
    const withCodebooks = (menu: Menu) =>
      model.tensors.filter((_, i) => menu.types[i]!.some((type) => GUIDED.has(type))).map(({ name }) => name);
    const named = withCodebooks(menuOf(model, { guide, imatrix: guide }));
    const matrices = model.tensors.filter(({ name }) => entries.has(name)).map(({ name }) => name);
    expect(named).toEqual(expect.arrayContaining(matrices));
    expect(named).not.toContain(unguided);
    expect(withCodebooks(menuOf(model, { guide, imatrix: guide }, GUIDED))).toEqual([]);
    const without = menuOf(model, { guide, imatrix: guide }, new Set(["IQ1_M"] as const));
    expect(withCodebooks(without)).toEqual(named);
    expect(without.types.flat()).not.toContain("IQ1_M");
    expect(without.mixes.map(({ recipe }) => recipe.name)).not.toContain("IQ1_M");
    expect(withCodebooks(menuOf(model, { guide: undefined }))).toEqual([]);
  });

  test("leaves what the user has settled", async () => {
    const options = { imatrix, outputType: "Q8_0" as const, overrides: [parseOverride("attn_q=Q5_1")] };
    const menu = menuOf(model, { ...options, guide: imatrix });
    const list = await appraise(model, menu, { imatrix, sensitivity: openSensitivity(sensitivityPath) });
    const { tensors } = plan(list, sizeOf("Q4_K_M"), options);
    for (const { tensor, dtype } of tensors) {
      if (tensor.role === "attn_q") expect(dtype).toBe("Q5_1");
      if (tensor.role === "output") expect(dtype).toBe("Q8_0");
      if (tensor.shape.length === 1) expect(dtype).toBe("F32");
    }
  });

  test("is planned alike for every number of threads", async () => {
    const sensitivity = openSensitivity(sensitivityPath);
    const expected = plan(await prices(sensitivity, imatrix, 0), 2_000_000, { imatrix });
    for (const threads of [1, 3]) {
      expect(plan(await prices(sensitivity, imatrix, threads), 2_000_000, { imatrix })).toEqual(expected);
    }
  });
});

describe("priors", () => {
  test.each([32, 40, 80])(
    "put those tensors first that the fixed mixes put first, in %d layers",
    (layers) => {
      const roles = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] as const;
      const tensors = Array.from({ length: layers }, (_, layer) =>
        roles.map((role) => ({
          name: `blk.${layer}.${role}.weight`,
          role,
          layer,
          shape: [256, 256],
          dtype: "F32" as const,
        })),
      ).flat();
      const facts = { ...factsOf(model, undefined), layers, gqa: 1 };
      const settled = settleTypes(tensors, facts);
      for (const name of ["Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_M"]) {
        const recipe = findRecipe(name);
        const choices = chooseTypes(recipe, tensors, facts);
        const [more, base] = [true, false].map((wanted) =>
          tensors.flatMap((tensor, i) =>
            (choices[i]!.dtype !== recipe.base) === wanted ? [priorOf(settled[i]!.kind, tensor, layers)] : [],
          ),
        );
        expect(Math.min(...more!), name).toBeGreaterThan(Math.max(...base!));
      }
    },
  );
});

describe("llq quantize", () => {
  const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "quantize", ...args], {
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const output = join(folder, "out.gguf");
  const size = ["--target-size", "3MB"];

  test("--target-size with everything writes a file of that size", () => {
    const guides = ["--imatrix", golden, "--sensitivity", sensitivityPath];
    const dry = run(TINY_LLAMA, "-o", output, "--target-size", "2.2MB", ...guides, "--dry-run");
    expect(dry.stderr.replace(/^try types: .*\n/gm, "")).toBe(""); // progress, where the machine is busy
    expect(dry.stdout).toMatch(
      /blk\.0\.ffn_down\.weight .* measured price \S+; \S+ \S+ for \S+ \S+ less; \S+ \S+ for \S+ \S+ more/,
    );
    expect(dry.stdout).toMatch(/price \S+ nats, against \S+ of \S+ \(.*\), the best fixed mix that fits/);
    const wrote = run(TINY_LLAMA, "-o", output, "--target-size", "2.2MB", ...guides, "--json");
    const { byteLength, recipe, bySize } = JSON.parse(wrote.stdout);
    expect(byteLength).toBe(statSync(output).size);
    expect(byteLength).toBeLessThanOrEqual(2_200_000);
    expect([recipe, bySize.kind]).toEqual(["fit", "measured"]);
  });

  test("says when the measurement was made with another importance matrix", () => {
    const { stderr, status } = run(
      TINY_LLAMA,
      "-o",
      output,
      ...size,
      "--sensitivity",
      sensitivityPath,
      "--dry-run",
    );
    expect([status, stderr]).toEqual([
      0,
      expect.stringMatching(/measured with another importance matrix, or without/),
    ]);
  });

  test("--fit counts keys, values and buffers; --target-bpw the tensors alone", () => {
    const fit = JSON.parse(
      run(TINY_LLAMA, "-o", output, "--fit", "60MB", "--context", "128", "--dry-run", "--json").stdout,
    );
    expect(fit.byteLength).toBeLessThan(60e6);
    const bpw = JSON.parse(
      run(TINY_LLAMA, "-o", output, "--target-bpw", "4.25", "--dry-run", "--json").stdout,
    );
    expect(bpw.bitsPerWeight).toBeLessThanOrEqual(4.25);
    expect(bpw.bitsPerWeight).toBeGreaterThan(4.2);
  });

  const other = join(folder, "other.json");
  test.each<[string, string[], number, RegExp]>([
    [
      "memory that no file fits",
      ["--fit", "1MB"],
      5,
      /leave nothing for the weights; the smallest file takes/,
    ],
    [
      "a size that no file meets",
      ["--target-size", "1MB"],
      2,
      /the smallest file takes 1\.\d+ MiB\n hint: --target-size \d+B/,
    ],
    ["bits that no file meets", ["--target-bpw", "1.5"], 2, /the smallest file has 2\.\d+ bits per weight/],
    ["no unit", ["--fit", "8XB"], 2, /--fit 8XB: not a size/],
    ["a context beyond the model's", ["--fit", "8GB", "--context", "1024"], 2, /trained for 256 tokens/],
    ["a context without memory", ["--context", "64", "--bits", "4"], 2, /there is no --fit/],
    ["two sizes", ["--fit", "8GB", "--target-bpw", "4"], 2, /cannot be used with/],
    ["a mix too", [...size, "--type", "Q4_K_M"], 2, /cannot be used with/],
    [
      "a measurement for a mix",
      ["--bits", "4", "--sensitivity", sensitivityPath],
      2,
      /a mix has its own rules/,
    ],
    [
      "pruned layers",
      [...size, "--sensitivity", sensitivityPath, "--prune-layers", "1"],
      2,
      /all its layers/,
    ],
    ["no measurement", [...size, "--sensitivity", text], 3, /not valid JSON/],
    [
      "one of other names",
      [...size, "--sensitivity", `${other}.names`],
      3,
      /tensor blk\.9\.x is none of this model's/,
    ],
    [
      "one of other widths",
      [...size, "--sensitivity", `${other}.widths`],
      3,
      /tensor output\.weight is 8 x 8, in this model 2048 x 256/,
    ],
    [
      "one of other weights",
      [...size, "--sensitivity", `${other}.weights`],
      3,
      /was measured on other weights/,
    ],
    [
      "one of another family",
      [...size, "--sensitivity", `${other}.family`],
      3,
      /is of a gpt2 model, not of llama/,
    ],
    [
      "one that lacks tensors",
      [...size, "--sensitivity", `${other}.fewer`],
      3,
      /has nothing of tensor blk\.0\.attn_q/,
    ],
    ["an importance matrix of another model", [...size, "--imatrix", `${other}.gguf`], 3, /no such file/],
  ])("refuses %s", (_, args, status, message) => {
    const sound = openSensitivity(sensitivityPath);
    const rows = [...sound.tensors];
    const renamed = new Map([...rows, ["blk.9.x", rows[0]![1]] as const]);
    const narrow = new Map(
      rows.map(([name, row]) => [name, name === "output.weight" ? { ...row, shape: [8, 8] } : row]),
    );
    writeFileSync(`${other}.names`, sensitivityFile({ ...sound, tensors: renamed }));
    writeFileSync(`${other}.widths`, sensitivityFile({ ...sound, tensors: narrow }));
    writeFileSync(`${other}.weights`, sensitivityFile({ ...sound, fingerprint: "0".repeat(64) }));
    writeFileSync(`${other}.family`, sensitivityFile({ ...sound, architecture: "gpt2" }));
    writeFileSync(`${other}.fewer`, sensitivityFile({ ...sound, tensors: new Map(rows.slice(0, 1)) }));
    const found = run(TINY_LLAMA, "-o", join(folder, "never.gguf"), ...args);
    expect(found.stderr).toMatch(message);
    expect(found.status).toBe(status);
  });
});
