import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { refusal } from "../../support/build/build.js";
import { type Changes, changedCheckpoint, type Stored, type Tensors } from "../../support/checkpoint.js";
import { convertedModel, familyPerplexity, GOLDEN_FAMILIES } from "../../support/families.js";
import { logitsOf } from "../../support/logits.js";
import { scratchFolder } from "../../support/scratch.js";

// The same weights as tools of today leave them: other names, stacked experts, biases of nothing. The right value is
// that of transformers for the family's checkpoint as it is.
const scratch = scratchFolder();
let copies = 0;

const changed = (family: string, changes: Changes) =>
  changedCheckpoint(join(GOLDEN_FAMILIES, family), join(scratch, String(copies++)), changes);
const renamed = (rename: (name: string) => string) => (tensors: Tensors) =>
  new Map([...tensors].map(([name, stored]) => [rename(name), stored]));

/** Layers 2 and 3 get what layers 0 and 1 have for keys and values. */
function withUnusedKeys(tensors: Tensors): Tensors {
  const unused = [...tensors].flatMap(([name, stored]): [string, Stored][] => {
    const layer = /layers\.([01])\.self_attn\.(k|v)_/.exec(name)?.[1];
    return layer === undefined
      ? []
      : [[name.replace(`layers.${layer}`, `layers.${Number(layer) + 2}`), stored]];
  });
  return new Map([...tensors, ...unused]);
}

/** BF16 as F32. */
function widened(tensors: Tensors): Tensors {
  return new Map(
    [...tensors].map(([name, { shape, bytes }]): [string, Stored] => {
      const halves = new Uint16Array(Uint8Array.from(bytes).buffer);
      const words = Uint32Array.from(halves, (half) => half * 2 ** 16);
      return [name, { dtype: "F32", shape, bytes: new Uint8Array(words.buffer) }];
    }),
  );
}

/** Experts one below the other, as save_pretrained with save_original_format=False has them. */
function stacked(
  tensors: Tensors,
  module: string,
  names: { gate: string; up: string; down: string },
): Tensors {
  const result: Tensors = new Map();
  const stacks = new Map<string, Stored[]>();
  for (const [name, stored] of tensors) {
    const [, layer, expert, matrix] = /^(.*)\.experts\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
    if (layer === undefined) {
      result.set(name.replace("block_sparse_moe", module), stored);
      continue;
    }
    const isDown = matrix === names.down;
    const stack = `${layer.replace("block_sparse_moe", module)}.experts.${isDown ? "down_proj" : "gate_up_proj"}`;
    const list = stacks.get(stack) ?? [];
    stacks.set(stack, list);
    list[isDown ? Number(expert) : 2 * Number(expert) + (matrix === names.up ? 1 : 0)] = stored;
  }
  for (const [name, list] of stacks) {
    const [rows, columns] = list[0]!.shape as [number, number];
    const isDown = name.endsWith("down_proj");
    const shape = isDown ? [list.length, rows, columns] : [list.length / 2, 2 * rows, columns];
    result.set(name, { dtype: list[0]!.dtype, shape, bytes: Buffer.concat(list.map(({ bytes }) => bytes)) });
  }
  return result;
}

const W = { gate: "w1", up: "w3", down: "w2" };
const PROJ = { gate: "gate_proj", up: "up_proj", down: "down_proj" };

const FORMS: [string, string, Changes][] = [
  ["names without model.", "qwen2-tied", { tensors: renamed((name) => name.replace(/^model\./, "")) }],
  ["names of DistributedDataParallel", "llama", { tensors: renamed((name) => `module.${name}`) }],
  ["names of torch.compile", "llama", { tensors: renamed((name) => `_orig_mod.${name}`) }],
  [
    "names of torch.compile inside",
    "llama",
    { tensors: renamed((name) => name.replace(/^(model\.layers\.\d+)\./, "$1._orig_mod.")) },
  ],
  ["a state dict inside", "llama", { tensors: renamed((name) => `state_dict.${name}`) }],
  ["the language half of a wrapper", "qwen2", { tensors: renamed((name) => `language_model.${name}`) }],
  [
    "the language half, inside the base model",
    "qwen3",
    { tensors: renamed((name) => name.replace(/^model\./, "model.language_model.")) },
  ],
  [
    "an output in the place of the tied embedding, as save_model leaves it",
    "qwen2-tied",
    { tensors: renamed((name) => name.replace("model.embed_tokens", "lm_head")) },
  ],
  ["weights of F32", "llama", { tensors: widened }],
  ["experts stacked, by transformers 5's names", "mixtral", { tensors: (all) => stacked(all, "mlp", W) }],
  ["experts stacked, by the old names", "mixtral", { tensors: (all) => stacked(all, "block_sparse_moe", W) }],
  ["experts stacked", "qwen3-moe", { tensors: (all) => stacked(all, "mlp", PROJ) }],
  ["experts stacked, beside a shared one", "qwen2-moe", { tensors: (all) => stacked(all, "mlp", PROJ) }],
  [
    "num_local_experts",
    "qwen3-moe",
    { config: ({ num_experts, ...config }) => ({ ...config, num_local_experts: num_experts }) },
  ],
  ["keys of layers that see those of others", "gemma4-shared", { tensors: withUnusedKeys }],
  ["keys of layers that see those of others", "gemma3n", { tensors: withUnusedKeys }],
  [
    "biases of nothing",
    "qwen2",
    {
      tensors: (all) =>
        new Map(
          [...all].flatMap(([name, stored]): [string, Stored][] => {
            const bias = {
              dtype: "F16",
              shape: [stored.shape[0]!],
              bytes: new Uint8Array(2 * stored.shape[0]!),
            };
            const isLinear = /(o|gate|up|down)_proj\.weight$/.test(name);
            return isLinear
              ? [
                  [name, stored],
                  [name.replace(/weight$/, "bias"), bias],
                ]
              : [[name, stored]];
          }),
        ),
    },
  ],
];

describe.each(FORMS)("%s: %s", (_, family, changes) => {
  test("say what transformers says, from the folder and from GGUF", async () => {
    const { perplexity } = JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "reference.json"), "utf8"));
    const model = openModel(changed(family, changes));
    for (const each of [model, await convertedModel(model, join(scratch, `${copies}.gguf`))]) {
      expect((await familyPerplexity(family, each)) / perplexity).toBeCloseTo(1, 5);
    }
  });
});

test("YaRN with all its numbers told, from the folder and from GGUF", async () => {
  const forms: Record<string, number> = JSON.parse(
    readFileSync(new URL("../../golden/forms.json", import.meta.url), "utf8"),
  );
  const rope = {
    ...{ rope_type: "yarn", rope_theta: 10000, factor: 8, original_max_position_embeddings: 32 },
    ...{ beta_fast: 16, beta_slow: 2, attention_factor: 1.5 },
  };
  const model = openModel(changed("llama", { config: (config) => ({ ...config, rope_parameters: rope }) }));
  for (const each of [model, await convertedModel(model, join(scratch, "yarn.gguf"))]) {
    expect((await familyPerplexity("llama", each)) / forms["yarn-betas"]!).toBeCloseTo(1, 6);
  }
});

describe("refused by what they are", () => {
  const bias = (value: number): Changes => ({
    tensors: (all) =>
      new Map([
        ...all,
        [
          "model.layers.1.mlp.up_proj.bias",
          { dtype: "F32", shape: [96], bytes: new Uint8Array(new Float32Array(96).fill(value).buffer) },
        ],
      ]),
  });
  const cases: [string, string, Changes, string][] = [
    [
      "a bias that adds something",
      "qwen2",
      bias(1e-9),
      "1 tensors are no part of qwen2: model.layers.1.mlp.up_proj.bias",
    ],
    [
      "one name twice",
      "llama",
      { tensors: (all) => new Map([...all, ["module.model.norm.weight", all.get("model.norm.weight")!]]) },
      "two tensors are model.norm.weight: one is module.model.norm.weight",
    ],
    [
      "experts stacked the other way",
      "qwen3-moe",
      {
        tensors: (all) =>
          new Map(
            [...stacked(all, "mlp", PROJ)].map(([name, { shape, ...rest }]): [string, Stored] =>
              name.endsWith("gate_up_proj")
                ? [name, { ...rest, shape: [shape[0]!, shape[2]!, shape[1]!] }]
                : [name, { ...rest, shape }],
            ),
          ),
      },
      "the configuration asks for",
    ],
    [
      "experts in two dimensions",
      "qwen3-moe",
      {
        tensors: (all) =>
          new Map(
            [...stacked(all, "mlp", PROJ)].map(([name, { shape, ...rest }]): [string, Stored] =>
              name.endsWith("gate_up_proj")
                ? [name, { ...rest, shape: [shape[0]! * shape[1]!, shape[2]!] }]
                : [name, { ...rest, shape }],
            ),
          ),
      },
      "stacked experts model.layers.0.mlp.experts.gate_up_proj are",
    ],
  ];
  test.each(cases)("%s", (_, family, changes, message) => {
    const folder = changed(family, changes);
    expect(refusal(() => openModel(folder))).toContain(message);
  });
});

test("tables of fewer rows than the vocabulary are padded, as llama.cpp's converter pads Gemma 3n's", async () => {
  const tokens = Int32Array.of(2, 30, 40, 50);
  const expected = await logitsOf(openModel(join(GOLDEN_FAMILIES, "gemma3n")), tokens);
  const long = openModel(changed("gemma3n", { config: (config) => ({ ...config, vocab_size: 330 }) }));
  for (const model of [long, await convertedModel(long, join(scratch, "padded.gguf"))]) {
    const tables = model.tensors.filter(({ role }) => /token_embd/.test(role));
    expect(tables.map(({ shape }) => shape[0])).toEqual([330, 330]);
    const logits = await logitsOf(model, tokens);
    tokens.forEach((_, i) => {
      const own = logits.subarray(i * 330, (i + 1) * 330);
      expect(own.subarray(0, 320)).toEqual(expected.subarray(i * 320, (i + 1) * 320));
      expect(own.subarray(320)).toEqual(new Float32Array(10));
    });
    // A token that no table has is 0 wherever it is looked up.
    expect((await logitsOf(model, Int32Array.of(2, 325))).every(Number.isFinite)).toBe(true);
  }
});
