import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { architectureOfConfig } from "../../../src/arch/index.js";
import { unheardKeys } from "../../../src/arch/numbers/unheard.js";
import { openModel } from "../../../src/model.js";
import { GOLDEN_FAMILIES } from "../../support/families.js";

// What llama-perplexity (0c1e57098) made of the F32 GGUFs of these: another perplexity by so much of its logarithm, or
// no number at all.

// biome-ignore format: columns
const SAID: [family: string, said: RegExp | undefined][] = [
  ["mistral",            /a token sees 24 tokens; llama\.cpp has it see all/],       // -0.056
  ["starcoder2",         /a token sees 24 tokens; llama\.cpp has it see all/],       // 0.117
  ["gemma2",             /does not look at query_pre_attn_scalar \(24\)/],           // -0.020
  ["gemma3",             /does not look at query_pre_attn_scalar \(24\)/],           // 0.018
  ["gpt-oss-limit",      /something else: swiglu_alpha, swiglu_limit$/],             // -0.017
  ["deepseek-v3-mscale", /cosines and sines are 1\.05651 times what llama\.cpp has/], // -0.005
  ["deepseek-v2",        /the sum of a group's two best experts/],                   // 0.022
  ["olmoe-clipped",      /loads no OLMoE whose 4 heads share 2 of keys and values/], // refused
  ["chatglm2",           /loads no chatglm whose 4 heads of 16 are not 32 together/], // refused
  ["chatglm",            /knows no such architecture: the GGUF is llq's own/],       // refused
  ["deepseek-v2-lite",   /26 or 27 layers, not 2/],                                  // refused
  ["deepseek-v3-lite",   /no latent attention with biases/],                         // refused
  ["minicpm3",           /what it makes of the model is wrong/],                     // refused
  ["qwen2-llama3",       /with which llama\.cpp loads no qwen2/],                    // refused
  ["qwen3.5-equal-heads", /whose attention has a bias of its output/],               // refused
  ["qwen3.5-widths",     /whose values are 16 wide and whose keys are 8/],           // refused
  ["qwen3-next-dense",   /some layers have no experts; llama\.cpp loads no such/],     // refused
  ["gemma3n",            /llama\.cpp divides by n - 1/],                             // -0.006 where it is loaded
  ["llama",              undefined],                                                 // 4e-8
  ["deepseek-v3",        undefined],                                                 // -9e-7
  ["mistral-4",          undefined],                                                 // -2e-6
  ["mistral3-mistral4",  undefined],                                                 // 7e-7
];

test.each(SAID)("of %s is said what llama.cpp makes of its GGUF", (family, said) => {
  const { remarks } = openModel(`${GOLDEN_FAMILIES}${family}`);
  const ofLlamaCpp = remarks.filter((remark) => remark.includes("llama.cpp"));
  if (said === undefined) expect(ofLlamaCpp).toEqual([]);
  else expect(ofLlamaCpp).toContainEqual(expect.stringMatching(said));
});

// What it made of other checkpoints of families_2026.py, by the fields in which they differ.
const BOUNDS = {
  rope_type: "yarn",
  rope_theta: 10000,
  factor: 8,
  original_max_position_embeddings: 64,
  beta_fast: 8,
  beta_slow: 2,
};

// biome-ignore format: columns
test.each<[family: string, change: Record<string, unknown>, said: RegExp]>([
  ["qwen3",    { rope_parameters: BOUNDS },   /llama\.cpp takes 32 and 1 unless run with --yarn-beta-fast 8 --yarn-beta-slow 2$/], // 0.007 to 0.08
  ["cohere2",  { head_dim: 16 },              /loads no cohere2 whose 4 heads of 16 are not 32 together/],                        // refused
  ["nemotron", { head_dim: 16 },              /loads no nemotron whose 4 heads of 16 are not 32 together/],                       // refused
  ["phi-2",    { tie_word_embeddings: true }, /loads no phi2 whose output is the embedding/],                                     // refused
])("of %s with %o, too", (family, change, said) => {
  const config = { ...JSON.parse(readFileSync(`${GOLDEN_FAMILIES}${family}/config.json`, "utf8")), ...change };
  const architecture = architectureOfConfig("config.json", config);
  const model = architecture.read("config.json", config);
  const remarks = [...(model.remarks ?? []), ...unheardKeys(architecture.name, model)];
  expect(remarks).toContainEqual(expect.stringMatching(said));
});
