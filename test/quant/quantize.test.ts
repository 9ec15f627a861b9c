import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BufferSource } from "../../formats/bytes.js";
import type { DTypeName } from "../../formats/dtype.js";
import { readGguf } from "../../formats/gguf/gguf.js";
import { meta } from "../../formats/gguf/gguf-write.js";
import { openImatrix } from "../../formats/imatrix/imatrix.js";
import { openModel } from "../../src/model.js";
import { withEntries } from "../../src/quant/importance.js";
import { copyMetadata } from "../../src/quant/keep.js";
import { parseKeyValue } from "../../src/quant/metadata.js";
import { type Plan, planCopy, planQuantize, type QuantizeOptions } from "../../src/quant/plan.js";
import { parseLayers, pruneLayers } from "../../src/quant/prune.js";
import { parseOverride } from "../../src/quant/recipes/override.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { readTensorTypes } from "../../src/quant/recipes/tensor-types.js";
import { execute } from "../../src/run/write/execute.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();

/** Type and sha256 of every tensor of the planned file, once it is written. */
async function writtenTensors(
  plan: Plan,
  name: string,
): Promise<Map<string, [dtype: string, sha256: string]>> {
  const output = join(folder, `${name}.gguf`);
  await execute(plan, output, { threads: 0 });
  const bytes = readFileSync(output);
  const digests = plan.tensors.map(({ tensor, dtype, offset, byteLength }) => {
    const digest = createHash("sha256").update(bytes.subarray(offset, offset + byteLength));
    return [tensor.name, [dtype, digest.digest("hex")]] as const;
  });
  return new Map(digests as [string, [string, string]][]);
}

const GOLDEN = new URL("../golden/quantize/", import.meta.url);
const MODEL = openModel(TINY_LLAMA);
const IMATRIX = openImatrix(new URL("tiny-llama.imatrix.gguf", GOLDEN).pathname);

/** See golden/make/quantize.py. */
interface Golden {
  readonly tensors: readonly string[];
  readonly types: Readonly<Record<string, string>>;
  readonly sha256: Readonly<Record<string, readonly (string | null)[]>>;
}

interface OptionsGolden {
  readonly tensorTypes: string;
  readonly options: Readonly<Record<string, { metadata: object; tensors: Readonly<Record<string, string>> }>>;
}

describe("tiny-llama: every tensor's bytes are llama-quantize's", () => {
  const golden: Golden = JSON.parse(readFileSync(new URL("tiny-llama.json", GOLDEN), "utf8"));

  test.each(Object.keys(golden.types))("%s", async (title) => {
    const [name, guided] = title.split(" ");
    const options = guided === undefined ? {} : { imatrix: IMATRIX };
    const plan = planQuantize(MODEL, findRecipe(name!), options);
    const written = await writtenTensors(plan, title);
    const types = golden.types[title]!.split(" ");
    const suffix = guided === undefined ? "" : " imatrix";
    const expected = golden.tensors.map((tensor, i) => [
      tensor,
      types[i],
      golden.sha256[types[i]! + suffix]![i],
    ]);
    const found = golden.tensors.map((tensor) => {
      const [dtype, sha256] = written.get(tensor)!;
      return [tensor, dtype, sha256.slice(0, 16)];
    });
    expect(found).toEqual(expected);
    expect(written.size).toBe(golden.tensors.length);
  });
});

describe("options as llama-quantize has them: types, bytes and metadata", () => {
  const { options, tensorTypes }: OptionsGolden = JSON.parse(
    readFileSync(new URL("tiny-llama.json", GOLDEN), "utf8"),
  );
  const list = join(folder, "types.txt");
  writeFileSync(list, tensorTypes);
  const q4 = join(folder, "q4.gguf");

  const PLANS: Readonly<Record<string, () => Plan>> = {
    "Q4_K_M --tensor-type-file": () =>
      planQuantize(MODEL, findRecipe("Q4_K_M"), { tensorTypes: readTensorTypes(list) }),
    "Q3_K_M --tensor-type-file --pure --output-tensor-type": () =>
      planQuantize(MODEL, findRecipe("Q3_K_M"), {
        ...{ tensorTypes: readTensorTypes(list), pure: true, outputType: "Q6_K" },
      }),
    "Q4_K_M --exclude-weights": () =>
      planQuantize(MODEL, findRecipe("Q4_K_M"), {
        imatrix: withEntries(IMATRIX, { excludeWeights: ["ffn_down", "blk.1."] }),
      }),
    "IQ4_XS --include-weights": () =>
      planQuantize(MODEL, findRecipe("IQ4_XS"), {
        imatrix: withEntries(IMATRIX, { includeWeights: ["attn_", "blk.3"] }),
      }),
    COPY: () => planCopy(openModel(q4), {}),
    "COPY --prune-layers": () =>
      planCopy(openModel(q4), {
        ...{ pruneLayers: [1, 2], overrideKv: [parseKeyValue("general.name=str:Mine")] },
      }),
  };

  test.each(Object.keys(options))("%s", async (title) => {
    if (title === "COPY") await execute(planQuantize(MODEL, findRecipe("Q4_K_M")), q4, { threads: 0 });
    const plan = PLANS[title]!();
    const written = await writtenTensors(plan, title);
    const found = Array.from(written, ([tensor, [dtype, sha256]]) => [
      tensor,
      `${dtype} ${sha256.slice(0, 16)}`,
    ]);
    const { tensors, metadata } = options[title]!;
    expect(Object.fromEntries(found)).toEqual(tensors);
    const keys = Object.keys(metadata).map((key) => [key, plan.metadata.get(key)?.value]);
    expect(Object.fromEntries(keys)).toEqual(metadata);
  });

  test("a copy of a file that does not say its type says what llama-quantize takes it for", () => {
    const named = (dtype: DTypeName) =>
      copyMetadata({ metadata: new Map(), tensors: MODEL.tensors.map((tensor) => ({ ...tensor, dtype })) });
    const fileTypes = (["Q4_K", "BF16", "Q8_0", "MXFP4"] as const).map((dtype) => named(dtype)[1]?.[1].value);
    // LLAMA_FTYPE_MOSTLY_Q4_K_M, _BF16, _Q8_0 and LLAMA_FTYPE_ALL_F32, with LLAMA_FTYPE_GUESSED
    expect(fileTypes).toEqual([15 + 1024, 32 + 1024, 7 + 1024, 0 + 1024]);
  });

  test.each([
    [{ includeWeights: ["ffn_x"] }, "usage: --include-weights ffn_x: x has no such entry"],
    [{ excludeWeights: ["attn", "ffn_x"] }, "usage: --exclude-weights ffn_x: x has no such entry"],
    [{ excludeWeights: ["blk."] }, "usage: --exclude-weights: no entry of x is left"],
  ])("%j is refused", (choice, message) => {
    expect(refusal(() => withEntries({ ...IMATRIX, file: "x" }, choice))).toBe(message);
  });

  test("from # at the beginning of a word a line is a comment, and within a word it is none", () => {
    const commented = join(folder, "commented.txt");
    writeFileSync(
      commented,
      "# attn_q=q4_0\nattn_v=q8_0 # attn_k=q4_0\n\t#x=q4_0\nffn#1=q6_k attn_output=q5_k\n",
    );
    const plain = join(folder, "plain.txt");
    writeFileSync(plain, "attn_v=q8_0\nffn#1=q6_k\nattn_output=q5_k\n");
    expect(readTensorTypes(commented)).toEqual(readTensorTypes(plain));
    expect(readTensorTypes(plain)).toHaveLength(3);
  });

  test("a list of types without any is refused", () => {
    const empty = join(folder, "empty.txt");
    writeFileSync(empty, " \n");
    expect(refusal(() => readTensorTypes(empty))).toBe(`usage: --tensor-type-file ${empty}: names no tensor`);
  });

  test.each(["((.*)*)*Z=q8_0", "(a|a){1,}Z=q8_0", "a*a*a*a*a*Z=q8_0"])(
    "a list with %s, which takes forever, is refused",
    (entry) => {
      const slow = join(folder, "slow.txt");
      writeFileSync(slow, `attn_v=q8_0\n${entry}\n`);
      expect(refusal(() => readTensorTypes(slow))).toBe(
        `usage: --tensor-type-file ${slow}: ${entry} may take forever`,
      );
    },
  );
});

describe("a model without its layers 0 and 2", () => {
  const golden: { pruned: Record<string, Record<string, string>> } = JSON.parse(
    readFileSync(new URL("tiny-llama.json", GOLDEN), "utf8"),
  );

  test.each(Object.keys(golden.pruned))("%s: every tensor's bytes are llama-quantize's", async (title) => {
    const [name, guided] = title.split(" ");
    const options = { pruneLayers: [2, 0], imatrix: guided === undefined ? undefined : IMATRIX };
    const plan = planQuantize(MODEL, findRecipe(name!), options);
    const written = await writtenTensors(plan, `pruned ${title}`);
    const found = Array.from(written, ([tensor, [dtype, sha256]]) => [
      tensor,
      `${dtype} ${sha256.slice(0, 16)}`,
    ]);
    expect(Object.fromEntries(found)).toEqual(golden.pruned[title]);
  });

  test("says how many layers are left, and can be opened", async () => {
    const output = join(folder, "pruned.gguf");
    await execute(planQuantize(MODEL, findRecipe("Q8_0"), { pruneLayers: [0, 2] }), output, { threads: 0 });
    expect(openModel(output).hparams.blockCount).toBe(2);
  });

  test("keys with a value for each layer lose those", () => {
    const metadata = new Map(MODEL.metadata).set("llama.attention.head_count", meta.u32s([8, 9, 10, 11]));
    const [pruned] = pruneLayers({ ...MODEL, metadata }, undefined, [0, 2]);
    expect(pruned.metadata.get("llama.attention.head_count")?.value).toEqual([9, 11]);
  });

  test.each([
    [[4], "usage: layer 4 cannot be pruned: there are layers 0 to 3"],
    [[0, 1, 2, 3], "usage: no layer would be left"],
  ])("%j is refused", (layers, message) => {
    expect(refusal(() => planQuantize(MODEL, findRecipe("Q8_0"), { pruneLayers: layers }))).toBe(message);
  });

  test("lists of layers", () => {
    expect(parseLayers("3, 5,20-22")).toEqual([3, 5, 20, 21, 22]);
    for (const text of ["", "a", "3,", "5-3", "-1", "1.5", "123456"]) {
      expect(refusal(() => parseLayers(text))).toMatch(
        /^usage: --prune-layers .* is no layer and no range of layers$/,
      );
    }
  });
});

describe("metadata", () => {
  const written = (options: QuantizeOptions) => {
    const { header, byteLength } = planQuantize(MODEL, findRecipe("Q6_K"), options);
    const file = new Uint8Array(byteLength);
    file.set(header);
    const { metadata } = readGguf(new BufferSource("x", file));
    return new Map(Array.from(metadata, ([key, { type, value }]) => [key, { type, value }]));
  };

  test("of the importance matrix, as llama-quantize writes it, but never its folder", () => {
    const metadata = written({ imatrix: { ...IMATRIX, file: "/home/somebody/tiny-llama.imatrix.gguf" } });
    const keys = [...metadata].filter(([key]) => key.startsWith("quantize."));
    expect(keys).toEqual([
      ["quantize.imatrix.file", { type: "string", value: "tiny-llama.imatrix.gguf" }],
      ["quantize.imatrix.dataset", { type: "string", value: "text.txt" }],
      ["quantize.imatrix.entries_count", { type: "u32", value: 28 }],
      ["quantize.imatrix.chunks_count", { type: "u32", value: 20 }],
    ]);
  });

  test("set by the user, in the types llama-quantize gives it", () => {
    const texts = [
      "general.name=str:Mine: all=mine",
      "llama.rope.freq_base=float:5e5",
      "x.y=int:7",
      "a.b=bool:true",
    ];
    const metadata = written({ overrideKv: texts.map(parseKeyValue) });
    expect(["general.name", "llama.rope.freq_base", "x.y", "a.b"].map((key) => metadata.get(key))).toEqual([
      { type: "string", value: "Mine: all=mine" },
      { type: "f32", value: 500000 },
      { type: "u32", value: 7 },
      { type: "bool", value: true },
    ]);
    const order = [...MODEL.metadata.keys(), "llq.version", "llq.recipe"];
    expect([...metadata.keys()]).toEqual([...order, "x.y", "a.b"]);
  });

  test.each([
    ["a.b", "not of the form key=type:value"],
    ["a.b=7", "not of the form key=type:value"],
    ["=int:7", "the key is empty"],
    ["a=integer:7", "unknown type integer"],
    ["a=toString:7", "unknown type toString"],
    ["a=int:-7", "-7 is no value of type int"],
    ["a=int:4294967296", "4294967296 is no value of type int"],
    ["a=float:", " is no value of type float"],
    ["a=float:x", "x is no value of type float"],
    ["a=bool:yes", "yes is no value of type bool"],
    ["general.alignment=int:7", "the alignment cannot be chosen"],
  ])("%s is refused", (text, why) => {
    expect(refusal(() => parseKeyValue(text))).toBe(`usage: --override-kv ${text}: ${why}`);
  });
});

describe("an importance matrix", () => {
  const withEntries = (entries: [string, Float32Array][]) => ({
    imatrix: { ...IMATRIX, file: "x", entries: new Map(entries) },
  });
  const values = new Float32Array(256).fill(1);

  test("guides no type that takes none, and says which tensors it leaves out", () => {
    const plan = planQuantize(MODEL, findRecipe("Q4_K_M"), { imatrix: IMATRIX });
    expect(plan.unguided).toEqual(["token_embd.weight", "output.weight"]);
    expect(planQuantize(MODEL, findRecipe("Q8_0"), { imatrix: IMATRIX }).unguided).toEqual([]);
    expect(planQuantize(MODEL, findRecipe("Q4_K_M")).unguided).toEqual([]);
  });

  test("of another model is refused", () => {
    const other = withEntries([["blk.99.attn_q.weight", values]]);
    expect(refusal(() => planQuantize(MODEL, findRecipe("Q4_K_M"), other))).toBe(
      "bad-input: x: none of its 1 entries is a tensor of this model",
    );
    const wider = withEntries([["blk.0.ffn_down.weight", values]]);
    expect(refusal(() => planQuantize(MODEL, findRecipe("Q4_K_M"), wider))).toBe(
      "bad-input: x: entry blk.0.ffn_down.weight has 256 values, but the tensor has 1 x 768 columns",
    );
  });

  test("is needed for Q2_K_S, wherever that is Q2_K", () => {
    const recipe = findRecipe("Q2_K_S");
    expect(refusal(() => planQuantize(MODEL, recipe))).toBe("usage: Q2_K_S needs an importance matrix");
    const one = withEntries([["blk.0.attn_q.weight", values]]);
    expect(refusal(() => planQuantize(MODEL, recipe, one))).toBe(
      "usage: Q2_K_S needs an importance matrix, and the one given has no entry for blk.0.attn_k.weight",
    );
  });
});

describe("planQuantize refuses", () => {
  test.each([
    ["attn_w=Q8_0", "--tensor attn_w matches no tensor"],
    ["*_norm.weight=Q8_0", "--tensor *_norm.weight matches only tensors that stay F32"],
  ])("--tensor %s", (text, message) => {
    const options = { overrides: [parseOverride(text)] };
    expect(refusal(() => planQuantize(MODEL, findRecipe("Q8_0"), options))).toBe(`usage: ${message}`);
  });

  test("to quantize twice, unless that is allowed or changes nothing", async () => {
    const output = join(folder, "once.gguf");
    await execute(planQuantize(MODEL, findRecipe("Q8_0")), output, { threads: 0 });
    const once = openModel(output);
    expect(refusal(() => planQuantize(once, findRecipe("Q4_0")))).toBe(
      `usage: ${output}: tensor token_embd.weight is quantized already (Q8_0)`,
    );
    expect(planQuantize(once, findRecipe("Q4_0"), { allowRequantize: true }).tensors).toHaveLength(39);
    const copied = await writtenTensors(planQuantize(once, findRecipe("Q8_0")), "copy");
    expect([...copied]).toEqual([
      ...(await writtenTensors(planQuantize(MODEL, findRecipe("Q8_0")), "again")),
    ]);
  });
});

const SHARED = process.env["LLQ_SHARED"] ?? "";
const WIDE = join(SHARED, "data/weights/TinyStories-656K-wide256-gguf/model-f32.gguf");
const WIDE_GOLDEN = join(SHARED, "data/golden/TinyStories-wide256.llama-quantize.json");

describe.skipIf(!existsSync(WIDE_GOLDEN))(
  "TinyStories widened to 256 (LLQ_SHARED, llama.cpp of Feb 2025)",
  () => {
    const { recipes }: { recipes: Record<string, Record<string, [string, number, string]>> } = existsSync(
      WIDE_GOLDEN,
    )
      ? JSON.parse(readFileSync(WIDE_GOLDEN, "utf8"))
      : { recipes: {} };

    test.each(Object.keys(recipes))("%s", async (name) => {
      const written = await writtenTensors(planQuantize(openModel(WIDE), findRecipe(name)), `wide-${name}`);
      const expected = Object.entries(recipes[name]!).map(([tensor, [dtype, , sha256]]) => [
        tensor,
        [dtype, sha256],
      ]);
      expect(Object.fromEntries(written)).toEqual(Object.fromEntries(expected));
    });
  },
);
