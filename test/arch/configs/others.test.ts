import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { refusal } from "../../support/build/build.js";
import { changedFamilies, GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// Configurations as attention.test.ts has them, of families that have little in common.

type Config = Record<string, unknown>;
const changed = changedFamilies(scratchFolder());

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
