import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { refusal } from "../../support/build/build.js";
import { changedFamilies, GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// Configurations as attention.test.ts has them, of families that have little in common.

type Config = Record<string, unknown>;
const changed = changedFamilies(scratchFolder());

const { rope_parameters: MISTRAL_4_ROPE } = JSON.parse(
  readFileSync(join(GOLDEN_FAMILIES, "mistral-4", "config.json"), "utf8"),
);

describe("as it is published", () => {
  test.each<[family: string, change: Config]>([
    ["bloom", { hidden_size: undefined, n_embed: 32, n_head: undefined, num_attention_heads: 4 }],
    ["starcoder", { activation_function: "gelu_new", n_inner: null }],
    ["hy3", { mlp_layer_types: undefined, first_k_dense_replace: 1, qk_norm: true, route_norm: true }],
    ["laguna", { mlp_layer_types: undefined, gating: "per-head" }],
    ["mellum", { mlp_layer_types: undefined, use_sliding_window: true }],
    ["olmo-clipped", { rope_parameters: undefined, rope_theta: 10000 }],
    // tiiuae/falcon-7b has num_kv_heads 71, as many as heads, beside multi_query: one head of keys and values it is.
    ["falcon-7b", { multi_query: true, num_kv_heads: 4 }],
    ["falcon-7b", { multi_query: undefined, num_kv_heads: undefined }],
    // transformers' classes of Qwen3-VL have no windows, whatever was left of Qwen3 in a config.
    ["qwen3-vl", { use_sliding_window: true, sliding_window: 12, max_window_layers: 0 }],
    ["qwen3-vl-moe", { use_sliding_window: true, sliding_window: 12, max_window_layers: 0 }],
    // Nor have those of Llamas: configs of Mistrals that became one still have the field.
    ...["llama", "granite", "granite-moe", "apertus", "arcee", "bamba", "falcon-h1"].map(
      (family): [string, Config] => [family, { sliding_window: 8 }],
    ),
    ["dots1", { layer_types: undefined, max_window_layers: undefined, sliding_window: 8 }],
    ["mistral-4", { rope_parameters: undefined, rope_theta: 10000, rope_scaling: MISTRAL_4_ROPE }],
  ])("%s with %j means the same", (family, change) => {
    const numbers = (folder: string) => {
      const { hparams, architecture, tensors } = openModel(folder);
      return { hparams, decoder: architecture.decoder(hparams), names: tensors.map(({ name }) => name) };
    };
    expect(numbers(changed(family, change))).toEqual(numbers(join(GOLDEN_FAMILIES, family)));
  });
});

// biome-ignore format: rows
const REFUSED: [family: string, change: Config, message: RegExp][] = [
  ["bloom",     { apply_residual_connection_post_layernorm: true }, /^unsupported: config\.json: apply_residual_connection_post_layernorm true/],
  ["bloom",     { hidden_size: undefined },                   /^bad-input: config\.json: hidden_size is missing/],
  ["starcoder", { multi_query: false },                       /^unsupported: config\.json: multi_query false/],
  ["jais2",     { mlp_bias: false },                          /^unsupported: config\.json: mlp_bias false/],
  ["hy3",       { mlp_layer_types: ["sparse"] },              /^bad-input: config\.json: mlp_layer_types has 1 of 2 layers/],
  ["hy3",       { route_norm: false },                        /^unsupported: config\.json: route_norm false/],
  ["laguna",    { gating: "per-element" },                    /^unsupported: config\.json: gating per-element/],
  ["laguna",    { num_attention_heads_per_layer: [4] },       /^bad-input: config\.json: num_attention_heads_per_layer has 1 of 2 layers/],
  ["laguna",    { num_attention_heads_per_layer: [4, 5] },    /^bad-input: .*5 heads cannot share 2 key\/value heads/],
  ["laguna",    { mlp_layer_types: ["sparse", "dense"] },     /^unsupported: config\.json: mlp_layer_types.* dense/],
  ["mellum",    { mlp_layer_types: ["dense", "sparse"] },     /^unsupported: config\.json: mlp_layer_types/],
  ["mellum",    { sliding_window: undefined },                /^bad-input: config\.json: sliding_window is missing/],
  ["olmo-clipped", { attention_bias: true },                  /^unsupported: config\.json: attention_bias true/],
  ["olmo-clipped", { clip_qkv: -1 },                          /^bad-input: .*config\.json: clip_qkv/],
  ["dbrx",      { ffn_config: { ffn_hidden_size: 32, moe_num_experts: 4, moe_top_k: 2, moe_normalize_expert_weights: null } }, /^unsupported: config\.json: ffn_config\.moe_normalize_expert_weights null/],
  ["dbrx",      { ffn_config: { ffn_hidden_size: 16, moe_num_experts: 4, moe_top_k: 2 } }, /^bad-input: tensor transformer\.blocks\.0\.ffn\.experts\.mlp\.w1 is 128 x 32; .* 64 x 32/],
  ["cwm",       { sliding_window: 0 },                        /^bad-input: .*config\.json: sliding_window/],
  ["dots1",     { layer_types: undefined, sliding_window: 8, max_window_layers: 1 }, /^unsupported: config\.json: sliding_window 8/],
  ["ernie-4.5-moe", { moe_layer_end_index: 0 },               /^unsupported: config\.json: moe_layer_end_index 0/],
  ["phi3-long", { rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1] } }, /^bad-input: config\.json: long_factor has 0 values for 4 pairs/],
  ["phi3-long", { rope_scaling: { type: "longrope", long_factor: [1, 1, 1, 1], short_factor: [1] } }, /^bad-input: config\.json: short_factor has 1 values for 4 pairs/],
  ["ministral", { layer_types: ["full_attention"] },          /^bad-input: config\.json: layer_types has 1 values for 2 layers/],
];

describe("what is refused", () => {
  test.each(REFUSED)("%s with %j", (family, change, message) => {
    expect(refusal(() => openModel(changed(family, change)))).toMatch(message);
  });
});

test("a Ministral without windows is a Llama", () => {
  const { hparams, remarks } = openModel(changed("ministral", { sliding_window: null }));
  expect([hparams.slidingWindow, remarks]).toEqual([undefined, []]);
});

test("a Hunyuan whose RoPE has no alpha is for the context that it states", () => {
  const { hparams } = openModel(
    changed("hunyuan-dense", { rope_parameters: { rope_type: "default", rope_theta: 5000 } }),
  );
  expect(hparams).toMatchObject({ contextLength: 32768, ropeFreqBase: 5000, ropeScaling: { type: "none" } });
});

test("an OLMo without a limit on queries, keys and values has none", () => {
  for (const clip_qkv of [null, 0, undefined]) {
    expect(openModel(changed("olmo-clipped", { clip_qkv })).hparams.clampQkv).toBeUndefined();
  }
});

test("a Nemotron's positions are interpolated where its config says so", () => {
  const rope = { rope_type: "linear", factor: 4, rope_theta: 10000, partial_rotary_factor: 0.5 };
  const { hparams } = openModel(changed("nemotron", { rope_parameters: rope }));
  expect(hparams.ropeScaling).toMatchObject({ type: "linear", factor: 4 });
});

test("a GGUF of MiniCPM that is older than its keys has the first models' multipliers", () => {
  // llama.cpp, src/models/minicpm.cpp: 12, and 1.4 by the root of the layers; 256 is those models' dim_model_base
  const { architecture, hparams } = openModel(join(GOLDEN_FAMILIES, "minicpm"));
  const of = (scales: Partial<typeof hparams>) => architecture.decoder({ ...hparams, ...scales });
  const none = { embeddingScale: undefined, residualScale: undefined, logitScale: undefined };
  expect(of(none)).toEqual(
    of({ embeddingScale: 12, residualScale: 1.4 / Math.sqrt(2), logitScale: 32 / 256 }),
  );
});

test("a Granite 4 of attention alone may leave out what Mamba's layers have", () => {
  const change = { mamba_d_conv: undefined, mamba_d_state: undefined, mamba_expand: undefined };
  const models = [join(GOLDEN_FAMILIES, "granite-4-attention"), changed("granite-4-attention", change)].map(
    (path) => openModel(path),
  );
  const [stated, left] = models.map(({ architecture, hparams }) => architecture.decoder(hparams));
  expect(left).toEqual(stated);
  expect([...models[1]!.metadata.keys()].filter((key) => /ssm\.(conv|state|inner)/.test(key))).toEqual([]);
});
