import { expect, test } from "vitest";
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
  ["chatglm2",           /loads no ChatGLM whose 4 heads of 16 are not 32 together/], // refused
  ["chatglm",            /knows no such architecture: the GGUF is llq's own/],       // refused
  ["deepseek-v2-lite",   /26 or 27 layers, not 2/],                                  // refused
  ["deepseek-v3-lite",   /no latent attention with biases/],                         // refused
  ["minicpm3",           /what it makes of the model is wrong/],                     // refused
  ["qwen2-llama3",       /with which llama\.cpp loads no qwen2/],                    // refused
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
