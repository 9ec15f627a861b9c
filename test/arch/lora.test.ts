import { spawnSync } from "node:child_process";
import { closeSync, cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { TensorSource } from "../../formats/container.js";
import { openAdapter } from "../../src/arch/adapter/adapter.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { parseLora, withLora } from "../../src/lora.js";
import { type Model, openModel } from "../../src/model.js";
import { losslessType, planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { sumOf } from "../../src/rows/packed/sum.js";
import { readRowsF32 } from "../../src/rows/rows.js";
import { transposed } from "../../src/rows/transposed.js";
import { execute } from "../../src/run/write/execute.js";
import { rowCount, rowLength, type Tensor } from "../../src/tensor.js";
import { buildSafetensors, refusal } from "../support/build/build.js";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const folder = scratchFolder();
const cli = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const base = openModel(TINY_LLAMA);
const golden = (name: string) => new URL(`../golden/lora/${name}`, import.meta.url).pathname;
type Changed = Record<string, { readonly shape: number[]; readonly at: number[]; readonly is: number[] }>;
const merged: Record<string, Changed> = JSON.parse(readFileSync(golden("merged.json"), "utf8"));
const kernels = new Kernels();

/** Rows of a tensor as f32, the rows' order as the checkpoint has it. */
function valuesOf({ container }: Model, tensor: Tensor): Float32Array {
  const stored = { ...tensor, transforms: [] };
  const descriptors = container.files.map((file) => openSync(file, "r"));
  kernels.reset();
  const n = rowCount(tensor) * rowLength(tensor);
  const address = kernels.reserve(n * 4);
  readRowsF32(kernels, descriptors, stored, 0, rowCount(tensor), address);
  for (const fd of descriptors) closeSync(fd);
  return kernels.floats(address, n).slice();
}

const placeOf = ({ file, offset }: TensorSource) => `${file}:${offset}`;

/** The names that the checkpoint has for the model's tensors. */
const NAMES = new Map<string, string>(
  base.tensors.map(({ name, sources }) => {
    const found = [...base.container.tensors].find(([, source]) => placeOf(source) === placeOf(sources[0]!));
    return [name, found![0]];
  }),
);

describe.each(Object.keys(merged))("the adapter %s", (name) => {
  const model = withLora(base, [{ folder: golden(name), scale: 1 }]);
  const expected = merged[name]!;

  test("gives the weights of PEFT's merge, and changes no others", () => {
    const changed = model.tensors.filter((tensor, i) => tensor !== base.tensors[i]);
    expect(changed.map((tensor) => NAMES.get(tensor.name)).sort()).toEqual(Object.keys(expected).sort());
    for (const tensor of changed) {
      const { shape, at, is } = expected[NAMES.get(tensor.name)!]!;
      expect(tensor.shape).toEqual(shape);
      const values = valuesOf(model, tensor);
      const before = valuesOf(base, base.tensors.find((each) => each.name === tensor.name)!);
      for (const [i, place] of at.entries()) {
        // PEFT sums before it scales; both round at every step of a sum of a few products
        const tolerance = 2 ** -22 * (Math.abs(is[i]!) + Math.abs(is[i]! - before[place]!) + 0.01);
        expect(Math.abs(values[place]! - is[i]!), `${tensor.name} ${place}`).toBeLessThanOrEqual(tolerance);
      }
    }
  });
});

test("rows that GGUF has in another order are merged before they are moved", async () => {
  const model = withLora(base, [{ folder: golden("plain"), scale: 1 }]);
  const output = join(folder, "merged.gguf");
  await execute(planConvert(model, findRecipe("F32")), output, { threads: 0 });
  const written = openModel(output);
  const q = (of: Model) => of.tensors.find(({ name }) => name === "blk.2.attn_q.weight")!;
  const [before, after] = [valuesOf(model, q(model)), valuesOf(written, q(written))];
  for (let row = 0; row < 256; row++) {
    const j = row % 32; // within a head
    const from = row - j + (j >> 1) + (j & 1) * 16;
    expect(after.subarray(row * 256, (row + 1) * 256)).toEqual(before.subarray(from * 256, (from + 1) * 256));
  }
});

test("a scale, two adapters, and one taken back", () => {
  const difference = (loras: Parameters<typeof withLora>[1], name: string) => {
    const model = withLora(base, loras);
    const tensor = model.tensors.find((each) => each.name === name)!;
    const before = valuesOf(base, base.tensors.find((each) => each.name === name)!);
    return valuesOf(model, tensor).map((value, i) => value - before[i]!);
  };
  const [plain, patterns] = [golden("plain"), golden("patterns")];
  const name = "blk.1.attn_k.weight";
  const one = difference([{ folder: plain, scale: 1 }], name);
  const half = difference([{ folder: plain, scale: 0.5 }], name);
  const other = difference([{ folder: patterns, scale: 1 }], name);
  const both = difference(
    [
      { folder: plain, scale: 1 },
      { folder: patterns, scale: 1 },
    ],
    name,
  );
  const none = difference(
    [
      { folder: plain, scale: 1 },
      { folder: plain, scale: -1 },
    ],
    name,
  );
  const near = (a: Float32Array, b: (i: number) => number) =>
    expect(Math.max(...a.map((value, i) => Math.abs(value - b(i))))).toBeLessThan(1e-6);
  expect(Math.max(...one.map(Math.abs))).toBeGreaterThan(0.01);
  near(half, (i) => one[i]! / 2);
  near(both, (i) => one[i]! + other[i]!);
  near(none, () => 0);
});

test("a matrix that the architecture has transposed", () => {
  const name = "blk.0.attn_output.weight";
  const turned: Model = {
    ...base,
    tensors: base.tensors.map((tensor) =>
      tensor.name === name ? { ...tensor, sources: tensor.sources.map(transposed) } : tensor,
    ),
  };
  const adapter = writeAdapter("turned", {
    "base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight": [2, 256],
    "base_model.model.model.layers.0.self_attn.o_proj.lora_B.weight": [256, 2],
  });
  const of = (model: Model) => {
    const lora = withLora(model, [{ folder: adapter, scale: 1 }]);
    return valuesOf(lora, lora.tensors.find((each) => each.name === name)!);
  };
  // as PEFT does with Conv1D: what is added is of the matrix that has outputs for rows
  const [before, plain, other] = [
    valuesOf(base, base.tensors.find((each) => each.name === name)!),
    of(base),
    of(turned),
  ];
  for (let i = 0; i < plain.length; i++) {
    const across = (i % 256) * 256 + Math.floor(i / 256);
    expect(Math.abs(plain[i]! - before[i]! - (other[i]! - before[across]!))).toBeLessThan(1e-6);
  }
});

test("an embedding that the adapter was saved with takes the place of the model's", () => {
  const prefix = "base_model.model.model.embed_tokens";
  const adapter = writeAdapter("resized", {
    [`${prefix}.base_layer.weight`]: [2048, 256],
    [`${prefix}.lora_embedding_A`]: [2, 2048],
    [`${prefix}.lora_embedding_B`]: [256, 2],
  });
  const model = withLora(base, [{ folder: adapter, scale: 1 }]);
  expect(sumOf(model.tensors[0]!.sources[0]!)?.base.file).toBe(1);
  expect(model.container.files[1]).toBe(join(adapter, "adapter_model.safetensors"));
});

test("what the model was stored in stays its type when it is converted to auto", () => {
  const model = withLora(base, [{ folder: golden("plain"), scale: 1 }]);
  expect(losslessType(model).name).toBe("BF16");
});

test("eval-ppl, convert and quantize merge; the base of a comparison stays as it is", () => {
  const text = new URL("../../samples/text.txt", import.meta.url).pathname;
  const llq = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  };
  const evaluation = ["--context", "128", "--chunks", "2", "--json"];
  const perplexity = (model: string, ...options: string[]) =>
    JSON.parse(llq("eval-ppl", model, text, ...evaluation, ...options)).perplexity;
  const output = join(folder, "cli.gguf");
  llq("convert", TINY_LLAMA, "-o", output, "--type", "f32", "--lora", golden("plain"));
  const plain = perplexity(TINY_LLAMA);
  const adapted = perplexity(TINY_LLAMA, "--lora", golden("plain"));
  expect(perplexity(output)).toBe(adapted);
  expect(adapted).not.toBe(plain);
  expect(perplexity(TINY_LLAMA, "--lora", `${golden("plain")}=0`)).toBe(plain);
  const report = JSON.parse(
    llq("eval-ppl", TINY_LLAMA, text, ...evaluation, "--lora", golden("plain"), "--base-model", TINY_LLAMA),
  );
  expect(report.divergence.basePpl.value).toBeCloseTo(plain, 9);
  expect(report.perplexity).toBe(adapted);
  const quantized = join(folder, "q8.gguf");
  llq("quantize", TINY_LLAMA, "-o", quantized, "--type", "Q8_0", "--lora", `${golden("plain")}=0.5`);
  const again = join(folder, "q8-again.gguf");
  llq("convert", TINY_LLAMA, "-o", output, "--type", "f32", "--lora", `${golden("plain")}=0.5`, "--force");
  llq("quantize", output, "-o", again, "--type", "Q8_0");
  expect(perplexity(quantized)).toBe(perplexity(again));
});

/** An adapter of rank 2 whose tensors have the given shapes, all of F32. */
function writeAdapter(name: string, shapes: Record<string, number[]>, config: object = {}): string {
  const adapter = join(folder, name);
  mkdirSync(adapter, { recursive: true });
  let at = 0;
  const header = Object.fromEntries(
    Object.entries(shapes).map(([tensor, shape]) => {
      const begin = at;
      at += 4 * shape.reduce((a, b) => a * b, 1);
      return [tensor, { dtype: "F32", shape, data_offsets: [begin, at] }];
    }),
  );
  const bytes = buildSafetensors(header, at);
  const values = new Float32Array(at / 4).map((_, i) => Math.sin(i) / 8);
  bytes.set(new Uint8Array(values.buffer), bytes.length - at);
  writeFileSync(join(adapter, "adapter_model.safetensors"), bytes);
  const whole = { peft_type: "LORA", r: 2, lora_alpha: 4, ...config };
  writeFileSync(join(adapter, "adapter_config.json"), JSON.stringify(whole));
  return adapter;
}

describe("refusals", () => {
  const q = "base_model.model.model.layers.0.self_attn.q_proj";
  const good = { [`${q}.lora_A.weight`]: [2, 256], [`${q}.lora_B.weight`]: [256, 2] };
  const merge = (shapes: Record<string, number[]>, config?: object) =>
    refusal(() => withLora(base, [{ folder: writeAdapter("bad", shapes, config), scale: 1 }]));

  test("the adapter that the others are made from", () => {
    expect(merge(good)).toBe("accepted");
  });

  // biome-ignore format: rows
  const bad: [string, Record<string, number[]>, object, string][] = [
    ["no A",                  { [`${q}.lora_B.weight`]: [256, 2] }, {},      `has no ${q}.lora_A.weight`],
    ["no B",                  { [`${q}.lora_A.weight`]: [2, 256] }, {},      `has no ${q}.lora_B.weight`],
    ["another rank",          good, { r: 4 },                                "rank 4, but model.layers.0.self_attn.q_proj has A of 2 x 256 and B of 256 x 2"],
    ["a rank by pattern",     good, { rank_pattern: { q_proj: 3 } },         "rank 3, but model.layers.0.self_attn.q_proj has A"],
    ["ranks that differ",     { ...good, [`${q}.lora_B.weight`]: [256, 3] }, {}, "has A of 2 x 256 and B of 256 x 3"],
    ["factors of three dimensions", { ...good, [`${q}.lora_A.weight`]: [2, 256, 1] }, {}, "has A of 2 x 256 x 1"],
    ["another model's width", { [`${q}.lora_A.weight`]: [2, 512], [`${q}.lora_B.weight`]: [256, 2] }, {}, "model.layers.0.self_attn.q_proj.weight is 256 x 512, in the model 256 x 256"],
    ["of fewer outputs",      { [`${q}.lora_A.weight`]: [2, 256], [`${q}.lora_B.weight`]: [64, 2] }, { fan_in_fan_out: true }, "is 64 x 256, in the model 256 x 256"],
    ["a layer beyond the last", { "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": [2, 256], "base_model.model.model.layers.9.mlp.up_proj.lora_B.weight": [768, 2] }, {}, "1 tensors of the adapter are not in the model: model.layers.9.mlp.up_proj.weight"],
    ["a tensor of its own",   { ...good, "base_model.model.model.extra": [3] }, {}, "1 tensors of the adapter are not in the model: model.extra"],
    ["a norm of another width", { "base_model.model.model.norm.weight": [3] }, {}, "model.norm.weight is 3, in the model 256"],
    ["names that are not PEFT's", { "q.lora_A.weight": [2, 256], "q.lora_B.weight": [256, 2] }, {}, "tensor q.lora_A.weight does not begin with base_model.model."],
    ["no tensors",            {}, {},                                        "no tensors"],
    ["no rank",               good, { r: undefined },                        "adapter_config.json: r: "],
    ["a rank of 0",           good, { r: 0 },                                "adapter_config.json: r: "],
    ["a rank of half",        good, { r: 2.5 },                              "adapter_config.json: r: "],
    ["an alpha of text",      good, { lora_alpha: "4" },                     "adapter_config.json: lora_alpha: "],
    ["a negative alpha",      good, { lora_alpha: -4 },                      "adapter_config.json: lora_alpha: "],
    ["a pattern of text",     good, { alpha_pattern: { q_proj: "4" } },      "adapter_config.json: alpha_pattern.q_proj: "],
    ["another kind",          good, { peft_type: "IA3" },                    "unsupported: "],
    ["DoRA",                  good, { use_dora: true },                      "a DoRA adapter"],
    ["biases of its own",     good, { lora_bias: true },                     "biases of the adapter's own"],
    ["repeated layers",       good, { layer_replication: [[0, 2]] },         "an adapter that repeats layers"],
    ["single rows",           good, { trainable_token_indices: { embed_tokens: [1] } }, "single rows of the embedding, trained by themselves (trainable_token_indices)"],
    ["parameters",            good, { target_parameters: ["mlp.experts.gate_up_proj"] }, "stacked experts (target_parameters)"],
    ["activated LoRA",        good, { alora_invocation_tokens: [1, 2] },     "begins to work behind certain tokens (aLoRA)"],
    ["PiSSA",                 good, { init_lora_weights: "pissa_niter_16" }, "taken out of the base's weights (pissa_niter_16)"],
    ["another vocabulary",    { "base_model.model.model.embed_tokens.weight": [2050, 256] }, {}, "model.embed_tokens.weight is of a vocabulary of 2050 tokens, the model's has 2048"],
    ["a head of another vocabulary", { "base_model.model.lm_head.lora_A.weight": [2, 256], "base_model.model.lm_head.lora_B.weight": [2050, 2] }, {}, "lm_head.weight is of a vocabulary of 2050 tokens"],
    ["repeated groups",       good, { rank_pattern: { "(?:a|b)+": 4 } },     'the pattern "(?:a|b)+"'],
    ["no expression",         good, { rank_pattern: { "(q_proj": 4 } },      'the pattern "(q_proj"'],
    ["a pattern that is an expression", good, { alpha_pattern: { "(a+)+$": 4 } }, 'the pattern "(a+)+$"'],
  ];
  test.each(bad)("%s", (_, shapes, config, expected) => {
    const message = merge(shapes, config);
    expect(message).toContain(expected);
    expect(message).toMatch(/^(bad-input|unsupported): /);
  });

  test("a tensor that is stored once for two, of which the adapter changes one", () => {
    const [zeroth, first] = [0, 1].map((i) => `model.layers.${i}.self_attn.q_proj.weight`) as [
      string,
      string,
    ];
    const source = base.container.tensors.get(zeroth)!;
    const model: Model = {
      ...base,
      container: { ...base.container, tensors: new Map([...base.container.tensors, [first, source]]) },
      tensors: base.tensors.map((each) =>
        each.name === "blk.1.attn_q.weight" ? { ...each, sources: [source] } : each,
      ),
    };
    const adapter = writeAdapter("shared", {
      "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight": [2, 256],
      "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight": [256, 2],
    });
    expect(refusal(() => withLora(model, [{ folder: adapter, scale: 1 }]))).toMatch(
      /^unsupported: .*layers\.1\.self_attn\.q_proj\.weight is stored once for two tensors, of which the adapter changes one$/,
    );
  });

  test("folders that hold no adapter", () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    expect(refusal(() => openAdapter(empty))).toBe(`bad-input: ${empty}/adapter_config.json: no such file`);
    writeFileSync(join(empty, "adapter_config.json"), '{"peft_type":"LORA","r":2,"lora_alpha":4}');
    expect(refusal(() => openAdapter(empty))).toContain(
      "no weights here; looked for adapter_model.safetensors",
    );
    writeFileSync(join(empty, "adapter_config.json"), "{");
    expect(refusal(() => openAdapter(empty))).toContain("not valid JSON");
    cpSync(join(golden("plain"), "adapter_config.json"), join(empty, "adapter_config.json"), { force: true });
    writeFileSync(join(empty, "adapter_model.safetensors"), "hello, world");
    expect(refusal(() => openAdapter(empty))).toMatch(/^bad-input: .*adapter_model\.safetensors: /);
  });

  test("a GGUF, whose tensors have other names", async () => {
    const output = join(folder, "plain.gguf");
    await execute(planConvert(base, findRecipe("F32")), output, { threads: 0 });
    const message = refusal(() => withLora(openModel(output), [{ folder: golden("plain"), scale: 1 }]));
    expect(message).toContain(
      "8 tensors of the adapter are not in the model: model.layers.0.self_attn.k_proj.weight",
    );
  });

  test("options that are no folder and scale", () => {
    expect(parseLora("a/b=c/d")).toEqual({ folder: "a/b=c/d", scale: 1 });
    expect(parseLora("./x=0.25")).toEqual({ folder: "./x", scale: 0.25 });
    expect(parseLora("./x=-1")).toEqual({ folder: "./x", scale: -1 });
    for (const text of ["", "=1", "./x=", "./x=a", "./x=Infinity"]) {
      expect(refusal(() => parseLora(text))).toBe(
        `usage: --lora ${text}: a folder and perhaps a number are needed`,
      );
    }
    const { status } = spawnSync(process.execPath, [cli, "convert", TINY_LLAMA, "-o", "x", "--lora", "x=y"]);
    expect(status).toBe(2);
  });
});
