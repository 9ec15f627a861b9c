// Of tests that no survey knows yet, those that speak of a source by its folder: they are run as if they came by its mutants.

const NEAR: readonly (readonly [folder: string, ...tests: string[]])[] = [
  ["formats/flax/", "formats/flax", "formats/properties"],
  ["formats/imatrix/", "formats/imatrix", "formats/properties"],
  ["formats/llama2c/", "formats/llama2c"],
  ["formats/safetensors/", "formats/safetensors", "formats/properties"],
  ["formats/sentencepiece/", "formats/sentencepiece"],
  ["formats/torch/", "formats/torch"],
  ["formats/", "formats/gguf", "formats/properties", "formats/budgets", "formats/safetensors"],
  ["src/arch/meta/", "arch/meta/meta", "arch/meta/mistral"],
  ["src/arch/adapter/", "arch/lora", "arch/lora-tied"],
  ["src/arch/published/", "arch/published-shapes", "quant/fit-published"],
  ["src/arch/checkpoint/", "arch/forms/gguf-forms", "arch/forms/published-forms", "arch/packed/latent"],
  ["src/arch/", "arch/configs/fields", "arch/configs/keys", "arch/configs/attention", "arch/views"],
  ["src/quant/fit/", "quant/fit", "quant/fit-hybrids", "quant/fit-latent"],
  ["src/quant/by-size/", "quant/by-size"],
  ["src/quant/recipes/", "quant/plan", "quant/quantize"],
  ["src/quant/", "quant/keep", "quant/properties", "quant/plan", "quant/split", "commands/gguf-tools"],
  ["src/run/write/lock", "run/lock", "run/one-writer"],
  ["src/run/measure/", "run/verify", "quant/by-size"],
  ["src/run/", "run/execute", "run/disk", "run/together", "run/resume"],
  ["src/eval/perplexity/", "eval/statistics", "eval/gate", "eval/kld", "eval/eval"],
  ["src/eval/choice/", "eval/choice", "eval/choice-harness"],
  ["src/eval/harness/", "eval/choice-harness"],
  ["src/eval/divergence/", "eval/kld", "eval/compare"],
  ["src/eval/imatrix/", "eval/imatrix-compute"],
  ["src/eval/sensitivity/", "eval/sensitivity"],
  ["src/eval/compare/", "eval/compare"],
  ["src/eval/calibrate/", "eval/calibrate/codes", "eval/calibrate/calibrate"],
  ["src/hub/", "hub/hub", "hub/hub-hostile", "hub/hub-settings"],
];

export function testsNear(file: string): string[] {
  const [, ...tests] = NEAR.find(([folder]) => file.startsWith(folder)) ?? [""];
  return tests.map((name) => `test/${name}.test.ts`);
}
