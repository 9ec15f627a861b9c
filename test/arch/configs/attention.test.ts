import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { refusal } from "../../support/build/build.js";
import { changedFamilies, GOLDEN_FAMILIES } from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// Configurations of families whose layers differ in their attention: as publishers write them, and what is refused.

type Config = Record<string, unknown>;
const changed = changedFamilies(scratchFolder());

const YARN = { factor: 8, original_max_position_embeddings: 64, beta_fast: 32, beta_slow: 1 };
const LLAMA3 = { factor: 8, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 64 };

const PUBLISHED: [family: string, change: Config][] = [
  [
    "smollm3",
    { rope_parameters: undefined, rope_theta: 5000000, no_rope_layers: undefined, layer_types: undefined },
  ],
  ["smollm3", { no_rope_layers: undefined, no_rope_layer_interval: undefined }],
  [
    "olmo3",
    {
      rope_parameters: undefined,
      rope_theta: 500000,
      rope_scaling: { ...YARN, rope_type: "yarn", attention_factor: 1.2079441541679836 },
      layer_types: undefined,
    },
  ],
  [
    "cohere2",
    { rope_parameters: undefined, rope_theta: 50000, layer_types: undefined, sliding_window_pattern: 4 },
  ],
  ["exaone4-windows", { layer_types: undefined }],
  ["exaone4-windows", { layer_types: undefined, sliding_window_pattern: 4 }],
  [
    "exaone4-windows",
    { rope_parameters: undefined, rope_theta: 1000000, rope_scaling: { ...LLAMA3, rope_type: "llama3" } },
  ],
  [
    "gpt-oss",
    {
      rope_parameters: undefined,
      rope_theta: 150000,
      rope_scaling: { ...YARN, rope_type: "yarn", truncate: false },
      layer_types: undefined,
      num_experts_per_tok: undefined,
      experts_per_token: 2,
      swiglu_alpha: undefined,
    },
  ],
  [
    "llama-4",
    {
      rope_parameters: undefined,
      rope_theta: 500000,
      rope_scaling: { ...LLAMA3, rope_type: "llama3" },
      moe_layers: undefined,
      layer_types: undefined,
      no_rope_layers: [],
    },
  ],
  [
    "afmoe",
    {
      rope_parameters: undefined,
      rope_theta: 10000,
      layer_types: undefined,
      route_norm: true,
      score_func: "sigmoid",
    },
  ],
  ["granite-swa", { layer_rope_theta: undefined, no_rope_layers: [1, 1, 1, 1], layer_types: undefined }],
  [
    "mimo-v2-flash",
    {
      rope_parameters: undefined,
      rope_theta: 5000000,
      swa_rope_theta: 10000,
      partial_rotary_factor: 0.334,
      layer_types: undefined,
      hybrid_layer_pattern: [0, 1],
      mlp_layer_types: undefined,
      moe_layer_freq: [0, 1],
      swa_num_key_value_heads: 4,
      rms_norm_eps: undefined,
      layernorm_epsilon: 1e-5,
      sliding_window: undefined,
      sliding_window_size: 11,
      routed_scaling_factor: null,
      scoring_func: "sigmoid",
    },
  ],
];

describe("as it is published", () => {
  test.each(PUBLISHED)("%s with %j means the same", (family, change) => {
    const numbers = (folder: string) => {
      const { hparams, architecture, tensors } = openModel(folder);
      const divisors = tensors.flatMap(({ values }) => values ?? []);
      return { hparams, layers: architecture.decoder(hparams).layers, divisors };
    };
    expect(numbers(changed(family, change))).toEqual(numbers(join(GOLDEN_FAMILIES, family)));
  });
});

// biome-ignore format: rows
const REFUSED: [family: string, change: Config, message: RegExp][] = [
  ["smollm3",     { attention_bias: true },                   /^unsupported: config\.json: attention_bias true/],
  ["smollm3",     { no_rope_layers: [1, 0] },                 /^bad-input: config\.json: no_rope_layers has 2 values for 4 layers/],
  ["smollm3",     { no_rope_layers: [1, 0, 2, 1] },           /^bad-input: .*config\.json: no_rope_layers/],
  ["olmo3",       { layer_types: ["full_attention"] },        /^bad-input: config\.json: layer_types has 1 values for 4 layers/],
  ["olmo3",       { layer_types: new Array(4).fill("linear_attention") }, /^unsupported: config\.json: layer_types has linear_attention/],
  ["olmo3",       { rope_parameters: { full_attention: {}, sliding_attention: { rope_type: "yarn" } } }, /^unsupported: config\.json: RoPE of type yarn in layers with a window/],
  ["cohere2",     { hidden_act: "gelu" },                     /^unsupported: config\.json: hidden_act gelu/],
  ["cohere2",     { sliding_window: "all" },                  /^bad-input: .*config\.json: sliding_window/],
  ["exaone4-windows",     { layer_types: undefined, sliding_window_pattern: null }, /^bad-input: config\.json: sliding_window without layer_types/],
  ["gpt-oss",     { sliding_window: undefined },              /^bad-input: .*config\.json: sliding_window/],
  ["llama-4",      { attention_bias: true },                   /^unsupported: config\.json: attention_bias true/],
  ["llama-4",      { hidden_size: undefined },                 /^bad-input: .*config\.json: hidden_size/],
  ["afmoe",       { mup_enabled: false },                     /^unsupported: config\.json: mup_enabled false/],
  ["afmoe",       { route_norm: false },                      /^unsupported: config\.json: route_norm false/],
  ["granite-swa", { layer_rope_theta: [0, 1, 2, 3] },         /^unsupported: config\.json: layer_rope_theta has bases 1, 2, 3/],
  ["mimo-v2-flash",       { swa_head_dim: 16 },                       /^unsupported: config\.json: swa_head_dim 16/],
  ["mimo-v2-flash",       { add_full_attention_sink_bias: true },     /^unsupported: config\.json: add_full_attention_sink_bias true/],
];

test.each(REFUSED)("%s with %j is refused", (family, change, message) => {
  expect(refusal(() => openModel(changed(family, change)))).toMatch(message);
});
