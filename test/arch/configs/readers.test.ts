import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { textConfig } from "../../../src/arch/checkpoint/text-config.js";
import { architectureOfConfig } from "../../../src/arch/index.js";
import type { AttentionTraits } from "../../../src/arch/traits.js";
import { openModel } from "../../../src/model.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// What a config.json comes to by itself, beside tensors of no matter what shapes: for models of sizes that no tiny checkpoint
// has. The right values are those of transformers' classes (configuration_*.py) and of llama.cpp's converter and loaders.

type Config = Record<string, unknown>;

const configOf = (family: string): Config =>
  textConfig(JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "config.json"), "utf8"))) as Config;

function read(config: Config) {
  const { name, read: reader } = architectureOfConfig("config.json", config);
  const { keys, ...model } = reader("config.json", config);
  return { ...model, name, keys: Object.fromEntries(keys.map(([key, { value }]) => [key, value])) };
}

const readOf = (family: string, change: Config = {}) => {
  const entries = Object.entries({ ...configOf(family), ...change });
  return read(Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
};

const NO_TYPES = { layer_types: undefined, mlp_layer_types: undefined };
const [window, full] = ["sliding_attention", "full_attention"];
const [scan, dense, sparse] = ["linear_attention", "dense", "sparse"];
const times = (count: number, value: string) => new Array<string>(count).fill(value);

/** Beside what transformers' classes make of them (Cohere2MoeConfig, KimiLinearConfig, Llama4TextConfig). */
// biome-ignore format: rows
const WRITTEN_OUT: [family: string, short: Config, long: Config][] = [
  ["cohere2-moe", { ...NO_TYPES, num_hidden_layers: 6, first_k_dense_replace: 1 },
    { layer_types: [full, window, window, window, full, window], mlp_layer_types: [dense, ...times(5, sparse)] }],
  ["cohere2-moe", { ...NO_TYPES, num_hidden_layers: 9, first_k_dense_replace: 3, prefix_dense_sliding_window_pattern: 2, sliding_window_pattern: 3 },
    { layer_types: [window, full, window, window, window, full, window, window, full], mlp_layer_types: [...times(3, dense), ...times(6, sparse)] }],
  ["kimi-linear", { ...NO_TYPES, num_hidden_layers: 9 },
    { layer_types: [...times(4, scan), full, ...times(3, scan), full], mlp_layer_types: [dense, ...times(8, sparse)] }],
  ["kimi-linear", { num_shared_experts: undefined, n_shared_experts: 2 },    { num_shared_experts: 2 }],
  ["kimi-linear", { num_shared_experts: 3, n_shared_experts: undefined },    { num_shared_experts: 3 }],
  ["kimi-linear", { moe_renormalize: undefined, norm_topk_prob: false },     { moe_renormalize: false }],
  ["kimi-linear", { num_experts: undefined, num_local_experts: 6 },          { num_experts: 6 }],
  ["kimi-linear", { num_experts_per_token: undefined, num_experts_per_tok: 3 }, { num_experts_per_token: 3 }],
  ["kimi-linear", { num_expert_group: undefined, n_group: 2 },               { num_expert_group: 2 }],
  ["kimi-linear", { model_max_length: undefined, max_position_embeddings: 256 }, { model_max_length: 256 }],
  ["llama-4",     { layer_types: undefined, no_rope_layers: null, moe_layers: null, num_hidden_layers: 8 },
    { layer_types: [...times(3, "chunked_attention"), full, ...times(3, "chunked_attention"), full], no_rope_layers: [1, 1, 1, 0, 1, 1, 1, 0], moe_layers: [1, 3, 5, 7] }],
  ["ernie-4.5-moe", { moe_layer_end_index: -1 },                             { moe_layer_end_index: 1 }],
  ["ernie-4.5-moe", { moe_layer_end_index: undefined },                      { moe_layer_end_index: 1 }],
];

test.each(WRITTEN_OUT)("of %s, %j is what the class makes of it", (family, short, long) => {
  expect(readOf(family, short)).toEqual(
    readOf(family, { ...short, first_k_dense_replace: undefined, ...long }),
  );
});

const ALPHA = { alpha: 1000, rope_type: "dynamic", rope_theta: 10000 };
const A13B = { head_dim: 128, rope_parameters: ALPHA, max_position_embeddings: 32768 };
const [SHORT, LONG] = [32768, 262144].map((length) => ({
  context_length: length,
  "rope.scaling.original_context_length": length,
}));

const f = Math.fround;
// biome-ignore format: rows
const KEYS: [family: string, change: Config, keys: Config][] = [
  // modeling_cohere2_moe.py; GGUF's numbers are 1 for softmax, 2 for sigmoid. Softmax of the chosen alone adds up to 1.
  ["cohere2-moe", {},                                                      { expert_gating_func: 1, expert_weights_norm: true }],
  ["cohere2-moe", { norm_topk_prob: false },                               { expert_gating_func: 1, expert_weights_norm: true }],
  ["cohere2-moe", { expert_selection_fn: "sigmoid" },                      { expert_gating_func: 2, expert_weights_norm: true }],
  ["cohere2-moe", { expert_selection_fn: "sigmoid", norm_topk_prob: false }, { expert_gating_func: 2, expert_weights_norm: false }],
  // conversion/hunyuan.py has 256k for the published numbers, and asserts them.
  ["hunyuan-a13b", A13B,                                                   LONG!],
  ["hunyuan-a13b", { ...A13B, head_dim: 64 },                              SHORT!],
  ["hunyuan-a13b", { ...A13B, rope_parameters: { ...ALPHA, alpha: 500 } }, SHORT!],
  ["hunyuan-a13b", { ...A13B, rope_parameters: { ...ALPHA, rope_theta: 5000 } }, SHORT!],
  // conversion/qwen3vl.py
  ["qwen3-vl",     {},                                                     { n_deepstack_layers: 1 }],
  ["qwen3-vl-moe", {},                                                     { n_deepstack_layers: 1 }],
  // modeling_minicpm3.py: 12; 1.4 by the root of the layers; hidden_size by dim_model_base
  ["minicpm3-published-scales", { scale_emb: 10 },       { embedding_scale: 10, residual_scale: f(1.4 / Math.sqrt(2)), logit_scale: 32 / 256 }],
  ["minicpm3-published-scales", { scale_depth: 0.5 },    { embedding_scale: 12, residual_scale: f(0.5 / Math.sqrt(2)), logit_scale: 32 / 256 }],
  ["minicpm3-published-scales", { dim_model_base: 64 },  { embedding_scale: 12, residual_scale: f(1.4 / Math.sqrt(2)), logit_scale: 32 / 64 }],
  ["minicpm3-published-scales", {},                      { embedding_scale: undefined, residual_scale: undefined, logit_scale: undefined }],
];

test.each(KEYS)("of %s with %j, the keys have %j", (family, change, expected) => {
  const { keys } = readOf(family, change);
  expect(Object.fromEntries(Object.keys(expected).map((key) => [key, keys[key]]))).toEqual(expected);
});

const LITE = { q_lora_rank: null };
const SCOUT = {
  ...{ attention_chunk_size: 8192, attn_scale: 0.1, floor_scale: 8192, num_local_experts: 16 },
  ...{ interleave_moe_layer_step: 1, moe_layers: undefined },
};

/** What llama.cpp's loaders (src/models) have of a model whatever its file says, or have no place for. */
// biome-ignore format: rows
const SAID: [family: string, change: Config, said: RegExp | undefined][] = [
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 25 },                     /not 25$/],
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 26 },                     undefined],
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 27 },                     undefined],
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 28, vocab_size: 128256 }, /not 28$/],
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 48 },                     /not 48$/],
  ["deepseek-v2-lite", { ...LITE, num_hidden_layers: 48, vocab_size: 128256 }, undefined],
  ["exaone4-windows",  { sliding_window: null },                               undefined],
  ["exaone4-windows",  {},                                                     /of 64 layers only/],
  ["exaone4-windows",  { num_hidden_layers: 64, layer_types: undefined },      undefined],
  ["llama-4",          SCOUT,                                                  undefined],
  ["llama-4",          { ...SCOUT, attn_scale: 0.2 },                          /attention\.temperature_scale$/],
  ["llama-4",          { ...SCOUT, attn_temperature_tuning: false },           /attention\.temperature_length$/],
  ["llama-4",          { ...SCOUT, attention_chunk_size: 4096 },               /attention\.sliding_window$/],
  ["llama-4",          { ...SCOUT, use_qk_norm: false },                       /attention\.qk_norm$/],
  ["llama-4",          { ...SCOUT, use_qk_norm: false, num_local_experts: 128 }, undefined],
  ["llama-4",          { ...SCOUT, moe_layers: [0, 2] },                       /expert_layers$/],
  ["minicpm3-published-scales", {},                                            undefined],
  ["minicpm3-published-scales", { scale_emb: 10 },                             /^scale_emb 10, .* is wrong$/],
  ["minicpm3-published-scales", { scale_depth: 0.5 },                          /scale_depth 0\.5 .* is wrong$/],
  ["minicpm3-published-scales", { dim_model_base: 64 },                        /dim_model_base 64 .* is wrong$/],
];

test.each(SAID)("of %s with %j is said what llama.cpp does otherwise: %s", (family, change, said) => {
  const { remarks = [] } = readOf(family, change);
  expect(remarks).toEqual(said === undefined ? [] : [expect.stringMatching(said)]);
});

describe("of routers", () => {
  const routersOf = (family: string) => {
    const { architecture, hparams } = openModel(join(GOLDEN_FAMILIES, family));
    const { layers } = architecture.decoder(hparams);
    return layers.slice(hparams.leadingDenseCount).map(({ feedForward }) => feedForward?.router);
  };

  // modeling_deepseek_v2.py: a group's best; modeling_deepseek_v3.py: its two best. GraniteMoeTopKGating has the softmax of
  // the chosen.
  test.each([
    ["deepseek-v2", { gating: "softmax", normalize: false, groups: { count: 4, used: 2, score: "largest" } }],
    ["deepseek-v3", { gating: "sigmoid", normalize: true, groups: { score: "twoLargest" } }],
    ["granite-moe", { gating: "softmax", normalize: true, groups: undefined }],
    ["granite-moe-shared", { gating: "softmax", normalize: true, groups: undefined }],
  ])("%s has %j", (family, expected) => {
    const routers = routersOf(family);
    expect(routers).not.toEqual([]);
    for (const router of routers) expect(router).toMatchObject(expected);
  });
});

test("a Granite's windows are as wide as it says, in the layers that have one", () => {
  for (const family of ["granite-swa", "granite-moe-swa"]) {
    const { architecture, hparams } = openModel(join(GOLDEN_FAMILIES, family));
    const { layers } = architecture.decoder(hparams);
    const windows = layers.map(({ mixer }) => (mixer as AttentionTraits).window);
    const types = configOf(family)["layer_types"] as string[];
    expect(windows).toEqual(types.map((type) => (type === window ? 12 : undefined)));
  }
});

/** Whose classes have an output of its own whatever the config says. */
const UNTIED = /^(kimi-linear|qwen)$/;
/** Whose files have an output or none, as llama.cpp's loader takes it. */
const BY_ROLE = /^falcon-(11b|heads|sequential)$/;

test("the output is the embedding where a config says so, whatever the family", () => {
  let count = 0;
  const wrong = readdirSync(GOLDEN_FAMILIES).flatMap((family) => {
    if (!existsSync(join(GOLDEN_FAMILIES, family, "config.json")) || UNTIED.test(family)) return [];
    if (typeof configOf(family)["tie_word_embeddings"] !== "boolean") return [];
    count++;
    return [true, false].flatMap((tied) => {
      const model = readOf(family, { tie_word_embeddings: tied });
      const said = BY_ROLE.test(family) ? !model.optional?.includes("output") : model.tied;
      return said === tied ? [] : [`${family}: ${said} where ${tied} is said`];
    });
  });
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(100);
});

test("a Falcon-H1 whose multipliers are 1 has its weights as they are", () => {
  const one = Object.fromEntries(
    Object.entries(configOf("falcon-h1")).flatMap(([key, value]) =>
      /_multipliers?$/.test(key) ? [[key, Array.isArray(value) ? value.map(() => 1) : 1]] : [],
    ),
  );
  const { steps } = readOf("falcon-h1", one);
  expect(Object.keys(one)).toHaveLength(9);
  expect([...(steps ?? [])].filter(([, each]) => each.length > 0)).toEqual([]);
});
