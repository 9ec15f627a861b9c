import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../../src/model.js";
import { planDecoder } from "../../../src/net/plan/decoder.js";
import { planConvert } from "../../../src/quant/plan.js";
import { findRecipe } from "../../../src/quant/recipes/recipes.js";
import { refusal } from "../../support/build/build.js";
import {
  changedFamilies,
  convertedModel,
  familyPerplexity,
  GOLDEN_FAMILIES,
} from "../../support/families.js";
import { scratchFolder } from "../../support/scratch.js";

// Configurations of families with state spaces beside attention: as publishers write them, what is said, what is refused.

type Config = Record<string, unknown>;
const scratch = scratchFolder();
const changed = changedFamilies(scratch);

const PUBLISHED: [family: string, change: Config][] = [
  ["falcon-h1", { rope_parameters: undefined, rope_theta: 1e11, mamba_d_head: "auto" }],
  [
    "bamba",
    {
      rope_parameters: undefined,
      rope_theta: 10000,
      rope_scaling: null,
      attn_rotary_emb: 4,
      mamba_d_head: "auto",
    },
  ],
  [
    "jamba",
    { num_local_experts: 4, num_experts: undefined, rms_norm_eps: undefined, use_mamba_kernels: true },
  ],
  [
    "kimi-linear",
    {
      layer_types: undefined,
      mlp_layer_types: undefined,
      linear_head_dim: undefined,
      linear_num_heads: undefined,
      linear_conv_kernel_dim: undefined,
      linear_attn_config: {
        ...{ head_dim: 8, num_heads: 4, short_conv_kernel_size: 4 },
        ...{ full_attn_layers: [2], kda_layers: [1, 3] },
      },
      ...{ first_k_dense_replace: 1, moe_layer_freq: 1, moe_router_activation_func: "sigmoid" },
      ...{ mla_use_nope: true, use_grouped_topk: true, num_nextn_predict_layers: 0 },
    },
  ],
];

describe("as it is published", () => {
  test.each(PUBLISHED)("%s with %j means the same", (family, change) => {
    const numbers = (folder: string) => {
      const { hparams, architecture, tensors } = openModel(folder);
      return {
        hparams,
        layers: architecture.decoder(hparams).layers,
        steps: tensors.map(({ steps }) => steps),
      };
    };
    expect(numbers(changed(family, change))).toEqual(numbers(join(GOLDEN_FAMILIES, family)));
  });
});

// biome-ignore format: rows
const SAID: [family: string, change: Config, remarks: readonly RegExp[]][] = [
  ["falcon-h1",      {},                                                 []],
  ["falcon-h1",      { mamba_norm_before_gate: true },                   []],
  ["falcon-h1-norm", {},                                                 []],
  ["falcon-h1-norm", { time_step_limit: [0.1, 1] },                      [/steps of Mamba-2 between 0.1 and 1/]],
  ["falcon-h1-norm", { mamba_norm_before_gate: true },                   [/gates what Mamba-2 gives before it norms it/]],
  ["falcon-h1-tied", { attention_bias: false, mamba_norm_before_gate: false }, [/embedding_multiplier 5, not by lm_head_multiplier 0.5/]],
  ["falcon-h1-tied", { lm_head_multiplier: 5, mamba_norm_before_gate: false }, [/bias of attention's output/]],
  ["bamba",          {},                                                 [/order in which llama.cpp turns half of a head/]],
  ["jamba",          {},                                                 []],
  ["jamba",          { mamba_proj_bias: true, mamba_conv_bias: false },  [/projections have biases/, /convolution has no bias/]],
  ["kimi-linear",    {},                                                 [/layers' epsilon 0.00001, not with 0.000001/]],
  ["kimi-linear",    { moe_renormalize: false, rms_norm_eps: 1e-6 },     [/weights add up to 1/]],
];

test.each(SAID)("of %s with %j is said what llama.cpp does otherwise", (family, change, remarks) => {
  const { architecture } = openModel(join(GOLDEN_FAMILIES, family));
  const said = architecture.read("config.json", { ...configOf(family), ...change }).remarks ?? [];
  expect(said).toHaveLength(remarks.length);
  for (const [i, remark] of remarks.entries()) expect(said[i]).toMatch(remark);
});

test("a GGUF of Jamba tells by its tensors where experts are, where no key does", async () => {
  const model = openModel(join(GOLDEN_FAMILIES, "jamba"));
  const metadata = new Map([...model.metadata].filter(([key]) => key !== "jamba.expert_layers"));
  const [told, untold] = [
    await convertedModel(model, join(scratch, "told.gguf")),
    await convertedModel({ ...model, metadata }, join(scratch, "untold.gguf")),
  ];
  expect(untold.hparams.expertLayers).toBeUndefined();
  expect(await familyPerplexity("jamba", untold)).toBe(await familyPerplexity("jamba", told));
});

test("a layer of Jamba with no feed-forward of either kind is refused", async () => {
  const model = openModel(join(GOLDEN_FAMILIES, "jamba"));
  const metadata = new Map([...model.metadata].filter(([key]) => key !== "jamba.expert_layers"));
  const tensors = model.tensors.filter(({ role, layer }) => layer !== 2 || !role.startsWith("ffn_up"));
  const file = await convertedModel({ ...model, metadata, tensors }, join(scratch, "less.gguf"));
  expect(refusal(() => planDecoder(file))).toMatch(/^bad-input: layer 2 has no feed-forward/);
});

function configOf(family: string): Config {
  return JSON.parse(readFileSync(join(GOLDEN_FAMILIES, family, "config.json"), "utf8"));
}

// biome-ignore format: rows
const REFUSED: [family: string, change: Config, message: RegExp][] = [
  ["falcon-h1", { mamba_n_heads: 6 },            /^bad-input: config\.json: 6 heads of 8 are not mamba_d_ssm = 64/],
  ["falcon-h1", { mamba_d_ssm: 32 },             /^bad-input: config\.json: 8 heads of 8 are not mamba_d_ssm = 32/],
  ["falcon-h1", { mamba_n_groups: 3 },           /^bad-input: config\.json: 8 heads of Mamba-2 in 3 groups/],
  ["falcon-h1", { mlp_multipliers: [1] },        /^bad-input: .*config\.json: mlp_multipliers/],
  ["falcon-h1", { ssm_multipliers: [1, 2, 3] },  /^bad-input: .*config\.json: ssm_multipliers/],
  ["falcon-h1", { key_multiplier: "much" },      /^bad-input: .*config\.json: key_multiplier/],
  ["falcon-h1", { projectors_bias: true },       /^unsupported: config\.json: projectors_bias true/],
  ["falcon-h1", { time_step_limit: [1, 0.1] },   /^bad-input: config\.json: time_step_limit from 1 to 0\.1/],
  ["falcon-h1", { hidden_act: "gelu" },          /^unsupported: config\.json: hidden_act gelu/],
  ["bamba",     { attn_layer_indices: [2] },     /^bad-input: config\.json: attn_layer_indices has 2 of 2 layers/],
  ["bamba",     { attn_layer_indices: null },    /^unsupported: config\.json: attn_layer_indices gives no layer attention/],
  ["bamba",     { attn_layer_indices: [1, 0] },  /^unsupported: config\.json: attn_layer_indices gives all layers attention/],
  ["bamba",     { mamba_n_heads: 6 },            /^bad-input: config\.json: 6 heads of 8 are not mamba_expand × hidden_size = 64/],
  ["bamba",     { num_hidden_layers: 2 ** 30 },  /^bad-input: .*config\.json: num_hidden_layers/],
  ["jamba",     { num_hidden_layers: 2 ** 30 },  /^bad-input: .*config\.json: num_hidden_layers/],
  ["lfm2",      { num_hidden_layers: 2 ** 30 },  /^bad-input: .*config\.json: num_hidden_layers/],
  ["kimi-linear", { num_hidden_layers: 2 ** 30 }, /^bad-input: .*config\.json: num_hidden_layers/],
  ["nemotron-h", { layers_block_type: 3 },       /^bad-input: .*config\.json: layers_block_type/],
  ["jamba",     { attn_layer_offset: 3 },        /^bad-input: config\.json: attn_layer_offset 3 of every 3 layers/],
  ["jamba",     { expert_layer_period: 0 },      /^bad-input: .*config\.json: expert_layer_period/],
  ["jamba",     { num_experts: 3 },              /^bad-input: /],
  ["jamba",     { expert_layer_offset: 0 },      /^bad-input: .*tensors are missing/],
  ["kimi-linear", { layer_types: ["linear_attention"] },           /^bad-input: config\.json: layer_types has 1 entries for 3 layers/],
  ["kimi-linear", { layer_types: ["a", "b", "c"] },                /^unsupported: config\.json: layer_types a/],
  ["kimi-linear", { layer_types: undefined, linear_attn_config: { full_attn_layers: [2], kda_layers: [1, 2] } }, /^bad-input: config\.json: full_attn_layers and kda_layers/],
  ["kimi-linear", { layer_types: undefined, linear_attn_config: { full_attn_layers: [0], kda_layers: [1, 3] } }, /^bad-input: .*config\.json: linear_attn_config/],
  ["kimi-linear", { mlp_layer_types: ["sparse", "dense", "sparse"] }, /^unsupported: config\.json: mlp_layer_types/],
  ["kimi-linear", { linear_num_heads: 2 },                         /^unsupported: config\.json: linear_num_heads 2/],
  ["kimi-linear", { linear_head_dim: 16 },                         /^bad-input: tensor model\.layers\.0\.self_attn/],
  ["kimi-linear", { linear_conv_kernel_dim: 3 },                   /^bad-input: tensor model\.layers\.0\.self_attn\.q_conv1d/],
  ["kimi-linear", { mla_use_nope: false },                         /^unsupported: config\.json: mla_use_nope false/],
  ["kimi-linear", { q_lora_rank: 16 },                             /^unsupported: config\.json: q_lora_rank 16/],
  ["kimi-linear", { num_experts: 5 },                              /^bad-input: tensor model\.layers\.1\.block_sparse_moe\.gate/],
];

test.each(REFUSED)("%s with %j is refused", (family, change, message) => {
  expect(refusal(() => planConvert(openModel(changed(family, change)), findRecipe("F32")))).toMatch(message);
});
