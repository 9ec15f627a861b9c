import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model.js";
import { planConvert } from "../../src/quant/plan.js";
import { findRecipe } from "../../src/quant/recipes/recipes.js";
import { refusal } from "../support/build/build.js";
import { scratchFolder } from "../support/scratch.js";

// Checkpoints of every family with something wrong are refused while they are planned, by name.
const GOLDEN = new URL("../golden/families/", import.meta.url).pathname;
const FAMILIES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "reference.json")));
const scratch = scratchFolder();

type Config = Record<string, unknown>;
type Header = Record<string, { shape: number[] }>;

/** What planning the conversion of a changed copy ends in. */
function planned(family: string, what: string, change: (config: Config, header: Header) => void): string {
  const folder = join(scratch, `${family}-${what}`);
  cpSync(join(GOLDEN, family), folder, { recursive: true });
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const weights = readFileSync(join(folder, "model.safetensors"));
  const length = Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.subarray(8, 8 + length).toString());
  change(config, header);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(folder, "model.safetensors"), Buffer.concat([size, text, weights.subarray(8 + length)]));
  return refusal(() => planConvert(openModel(folder), findRecipe("F32")));
}

function renamed(header: Header, from: string, to: string): void {
  header[to] = header[from]!;
  delete header[from];
}

/** What messages call a tensor: models that see or hear have a part of the name more. */
function plain(name: string): string {
  return name.replace(/^language_model\./, "").replace(/^model\.(language|text)_model\./, "model.");
}

/** A matrix of the second block. */
function someMatrix(header: Header): string {
  const isMatrix = (name: string) => name.endsWith(".weight") && header[name]!.shape.length === 2;
  const matrices = Object.keys(header).filter(isMatrix);
  return [/\.1\./, /\.0\./].flatMap((block) => matrices.filter((name) => block.test(name)))[0]!;
}

describe.each(FAMILIES)("%s", (family) => {
  test("a tensor under another name", () => {
    let name = "";
    const missing = planned(family, "missing", (_, header) => {
      name = someMatrix(header);
      renamed(header, name, `${name}.else`);
    });
    expect(missing).toMatch(/^bad-input: .*1 tensors are missing: /);
    expect(missing.endsWith(plain(name))).toBe(true); // GPT-2's may come without a prefix
  });

  test("a tensor too many", () => {
    const surplus = planned(family, "surplus", (_, header) => {
      header["model.extra.weight"] = { ...Object.values(header).find(({ shape }) => shape)!, shape: [0] };
      Object.assign(header["model.extra.weight"], { data_offsets: [0, 0] });
    });
    expect(surplus).toMatch(/^bad-input: .*1 tensors are no part of [\w-]+: model\.extra\.weight$/);
  });

  test("a matrix of another shape", () => {
    let name = "";
    const odd = planned(family, "shape", (_, header) => {
      name = someMatrix(header);
      header[name]!.shape.reverse().push(1);
    });
    expect(odd).toMatch(/^bad-input: tensor .* is \d+ x \d+ x 1; the configuration asks for/);
    expect(odd).toContain(plain(name));
  });

  test("an unknown class, and none", () => {
    const unknown = planned(family, "class", (config) => {
      config["architectures"] = ["SomethingForCausalLM"];
    });
    expect(unknown).toMatch(
      /^unsupported: .*config\.json: architecture SomethingForCausalLM is not supported$/,
    );
    const none = planned(family, "none", (config) => {
      delete config["architectures"];
    });
    expect(none).toMatch(/^bad-input: .*config\.json: no "architectures"$/);
  });
});

/** Variants of the families that are not evaluated, and numbers that cannot be. */
// biome-ignore format: rows
const REFUSED: readonly [family: string, change: Config, message: RegExp][] = [
  ["qwen2",       { hidden_act: "gelu" },                              /^unsupported: config\.json: hidden_act gelu/],
  ["qwen2",       { num_key_value_heads: 3 },                          /^bad-input: .*4 heads cannot share 3 key\/value heads/],
  ["qwen2",       { num_attention_heads: 5, num_key_value_heads: 5 },  /^bad-input: config\.json: hidden_size 32 does not divide into 5 heads/],
  ["qwen3",       { head_dim: 15 },                                    /^bad-input: .*RoPE over 15 of 15 dimensions/],
  ["qwen3",       { rope_scaling: { rope_type: "spiral", factor: 2 } }, /^unsupported: config\.json: rope_scaling of type spiral/],
  ["internlm2",   { bias: true },                                      /^unsupported: config\.json: bias true/],
  ["internlm",    { rotary: { type: "spiral" } },                      /^unsupported: config\.json: rotary\.type spiral/],
  ["baichuan-7b", { num_hidden_layers: 31 },                           /^unsupported: config\.json: num_hidden_layers 31/],
  ["chatglm2",    { add_bias_linear: true },                           /^unsupported: config\.json: add_bias_linear true/],
  ["chatglm2",    { rmsnorm: false },                                  /^unsupported: config\.json: rmsnorm false/],
  ["chatglm2",    { kv_channels: 15 },                                 /^bad-input: /],
  ["chatglm2-32k", { _name_or_path: "mine" },                          /^unsupported: config\.json: rope_ratio 5 means one thing/],
  ["gemma",       { hidden_activation: "relu" },                       /^unsupported: config\.json: hidden_activation relu/],
  ["gemma2",      { layer_types: ["full_attention", "sliding_attention", "sliding_attention"] }, /^unsupported: config\.json: the layers with windows/],
  ["gemma3n",     { altup_num_inputs: 3 },                              /^unsupported: config\.json: altup_num_inputs 3/],
  ["gemma3n",     { altup_correct_scale: false },                      /^unsupported: config\.json: altup_correct_scale false/],
  ["gemma3n",     { altup_active_idx: 4 },                             /^bad-input: config\.json: altup_active_idx 4 of 4/],
  ["gemma3n",     { num_kv_shared_layers: 4 },                         /^bad-input: config\.json: num_kv_shared_layers is 4 of 4 layers/],
  ["gemma3n",     { activation_sparsity_pattern: [0.95] },             /^bad-input: config\.json: activation_sparsity_pattern has 1 of 4 layers/],
  ["gemma3n",     { activation_sparsity_pattern: [1, 0, 0, 0] },       /^bad-input: .*activation_sparsity_pattern/],
  ["gemma3n",     { intermediate_size: [32, 32] },                     /^bad-input: config\.json: intermediate_size has 2 of 4 layers/],
  ["gemma3n",     { vocab_size_per_layer_input: 321 },                 /^bad-input: config\.json: vocab_size_per_layer_input is more than vocab_size/],
  ["gemma3n",     { laurel_rank: 16 },                                 /^bad-input: tensor .*linear_left\.weight is 8 x 32; the configuration asks for 16 x 32/],
  ["gemma3",      { use_bidirectional_attention: true },               /^unsupported: config\.json: use_bidirectional_attention true/],
  ["chatglm",     { pre_seq_len: 128 },                                /^unsupported: config\.json: pre_seq_len 128/],
  ["chatglm",     { position_encoding_2d: false },                     /^unsupported: config\.json: position_encoding_2d false/],
  ["falcon-7b",   { alibi: true },                                     /^unsupported: config\.json: alibi true/],
  ["qwen2-window", { sliding_window: 0 },                              /^bad-input: config\.json: sliding_window is 0/],
  ["qwen2-window", { layer_types: ["full_attention"] },                /^bad-input: config\.json: layer_types has 1 values/],
  ["qwen2-llama3", { rope_parameters: { rope_type: "llama3", factor: 8 } }, /^bad-input: .*rope_parameters\.low_freq_factor is missing/],
  ["qwen2-llama3", { rope_parameters: { rope_type: "llama3", low_freq_factor: 1, high_freq_factor: 4 } }, /^bad-input: .*rope_parameters\.factor is missing, which type llama3 needs/],
  ["qwen2-llama3", { rope_parameters: { rope_type: "yarn" } },         /^bad-input: .*rope_parameters\.factor is missing/],
  ["qwen2-llama3", { rope_parameters: { rope_type: "spiral" } },       /^unsupported: config\.json: rope_scaling of type spiral/],
  ["qwen2-llama3", { partial_rotary_factor: 0.5 },                     /^unsupported: config\.json: partial_rotary_factor 0\.5/],
  ["falcon-7b",   { alibi: true },                                     /^unsupported: config\.json: alibi true/],
  ["falcon-40b",  { num_kv_heads: 3 },                                 /^bad-input: .*8 heads cannot share 3 key\/value heads/],
  ["falcon-40b",  { num_attention_heads: null },                       /^bad-input: config\.json: num_attention_heads is missing/],
  ["mpt",         { attn_config: { alibi: false } },                   /^unsupported: config\.json: attn_config\.alibi false/],
  ["gpt2",        { activation_function: "relu" },                     /^unsupported: config\.json: activation_function relu/],
  ["gpt2",        { scale_attn_by_inverse_layer_idx: true },           /^unsupported: config\.json: scale_attn_by_inverse_layer_idx true/],
  ["gpt2",        { n_head: 5 },                                       /^bad-input: .*32 columns do not divide into 5 heads/],
  ["mamba",       { intermediate_size: 62 },                           /^unsupported: .*62 channels of a state space, no multiple of 4/],
  ["mixtral",     { num_experts_per_tok: 5 },                          /^bad-input: .*tokens cannot go through 5 of 4 experts/],
  ["mixtral",     { num_local_experts: 5 },                            /^bad-input: tensor .*block_sparse_moe\.gate\.weight is 4 x 32; the configuration asks for 5 x 32/],
  ["qwen",        { rotary_pct: 0.5 },                                 /^unsupported: config\.json: rotary_pct 0\.5/],
  ["starcoder2",  { norm_type: "rms" },                                /^unsupported: config\.json: norm_type rms/],
];

test.each(REFUSED.map((row, i) => [...row, i] as const))("%s with %j", (family, change, message, i) => {
  expect(planned(family, `variant-${i}`, (config) => Object.assign(config, change))).toMatch(message);
});

test.each([
  [{ num_kv_shared_layers: 3 }, /^bad-input: config.json: num_kv_shared_layers is 3 of 3 layers/],
  [
    { num_kv_shared_layers: 1 },
    /^bad-input: .*config.json: gemma4.attention.shared_kv_layers leaves layer 2 no keys/,
  ],
  [
    { hidden_size_per_layer_input: 8, vocab_size_per_layer_input: 256 },
    /^unsupported: config.json: vocab_size_per_layer_input 256 is not supported/,
  ],
  [
    { hidden_size_per_layer_input: 8 },
    /^bad-input: .*12 tensors are missing: model.embed_tokens_per_layer.weight/,
  ],
])("Gemma 4 with %j", (fields, message) => {
  expect(planned("gemma4", "shared", (config) => Object.assign(config, fields))).toMatch(message);
});

test("Gemma 4 with a layer's heads of another width", () => {
  const said = planned("gemma4", "heads", (config) => {
    config["per_layer_config"] = { 1: { head_dim: 4 }, 2: { head_dim: 16, num_key_value_heads: 1 } };
  });
  expect(said).toMatch(/^unsupported: config.json: per_layer_config gives layer 1 heads of its own/);
});

test("Gemma 4 with experts that it does not describe", () => {
  const said = planned("gemma4", "experts", (config) => {
    config["enable_moe_block"] = true;
  });
  expect(said).toMatch(
    /^bad-input: config.json: enable_moe_block asks for experts, and num_experts is missing/,
  );
});

test("Gemma 4 with a type too few", () => {
  const said = planned("gemma4", "types", (config) => {
    config["layer_types"] = ["sliding_attention", "full_attention"];
  });
  expect(said).toBe("bad-input: config.json: layer_types has 2 of 3 layers");
});
