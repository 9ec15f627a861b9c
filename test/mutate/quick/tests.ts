import { FAMILY_TESTS, FIELD_TESTS } from "../families.js";

/** Tests by source, in-process ones that take seconds. */
const TESTS: readonly (readonly [source: RegExp, ...tests: string[]])[] = [
  [/^formats\/flax\//, "formats/flax", "formats/properties"],
  [/^formats\/imatrix\//, "formats/imatrix", "formats/properties"],
  [/^formats\/llama2c\//, "formats/llama2c"],
  [/^formats\/safetensors\//, "formats/safetensors", "formats/properties"],
  [/^formats\/sentencepiece\//, "formats/sentencepiece"],
  [/^formats\/torch\//, "formats/torch"],
  [/^formats\/gguf\//, "formats/gguf", "formats/properties", "formats/budgets", "formats/big-endian"],
  [/^formats\//, "formats/gguf", "formats/safetensors", "formats/properties", "formats/dtype", "quant/words"],
  [/^src\/quant\/fit\//, "quant/fit", "quant/fit-hybrids", "quant/fit-latent"],
  [/^src\/quant\/recipes\//, "quant/words", "quant/keep", "quant/plan"],
  [/^src\/quant\/by-size\//, "quant/by-size"],
  [/^src\/quant\//, "quant/words", "quant/keep", "quant/properties", "quant/plan"],
  [/^src\/run\/write\/lock/, "run/lock", "run/one-writer"],
  [/^src\/run\/write\/overflow/, "run/overflow"],
  [/^src\/run\/threads\//, "run/threads", "run/execute"],
  [/^src\/run\/measure\//, "run/verify"],
  [/^src\/run\/parts\//, "run/parts/part", "run/parts/file"],
  [/^src\/run\//, "run/checksum", "run/execute", "run/late"],
  [/^src\/eval\/perplexity\/(gate|sequential|statistics)/, "eval/statistics"],
  [/^src\/eval\/perplexity\//, "eval/eval"],
  [/^src\/eval\/choice\//, "eval/choice"],
  [/^src\/eval\/harness\//, "eval/choice-harness"],
  [/^src\/eval\/divergence\//, "eval/kld"],
  [/^src\/eval\/imatrix\//, "eval/imatrix-compute"],
  [/^src\/eval\/sensitivity\//, "eval/sensitivity"],
  [/^src\/eval\/compare\//, "eval/compare"],
  [/^src\/eval\/calibrate\//, "eval/calibrate/codes", "eval/calibrate/calibrate"],
  [/^src\/hub\//, "hub/hub-settings", "hub/hub", "hub/hub-hostile"],
  [/^src\/arch\/meta\//, "arch/meta/meta", "arch/meta/mistral"],
  [/^src\/arch\/adapter\//, "arch/lora"],
  [/^src\/arch\/checkpoint\/mlx/, "arch/forms/mlx"],
  [/^src\/arch\/checkpoint\/latent/, "arch/packed/latent"],
  [/^src\/arch\/checkpoint\/(tied|zero)/, "arch/tied"],
  [/^src\/arch\/checkpoint\/gguf/, "arch/forms/gguf-forms"],
  [/^src\/arch\/checkpoint\//, "arch/forms/published-forms", "arch/views", "arch/containers"],
  [/^src\/arch\/rope-scaling|^src\/arch\/numbers\//, "arch/configs/keys", "arch/configs/fields", "net/rope"],
  [/^src\/arch\//, "arch/configs/keys", "arch/configs/fields", "arch/views", "arch/configs/class-names"],
];

export function quickTests(file: string, isFamily: boolean): string[] {
  const [, ...tests] = TESTS.find(([source]) => source.test(file)) ?? [/$/];
  const named = tests.map((name) => `test/${name}.test.ts`);
  return isFamily ? [...FIELD_TESTS, ...FAMILY_TESTS] : named;
}

/** What else may notice: tests of whole commands and runs, which take longer. Children are of the same copy and read the same switch. */
const WIDER: readonly (readonly [source: RegExp, ...tests: string[]])[] = [
  [/^formats\/imatrix\//, "eval/imatrix-compute", "eval/imatrix-options"],
  [/^formats\/gguf\//, "run/execute", "arch/forms/gguf-forms", "commands/gguf-tools", "commands/hostile"],
  [/^formats\//, "arch/containers", "run/execute", "mistakes"],
  [/^src\/quant\/fit\//, "quant/fit-published", "arch/published-shapes", "commands/json", "mistakes"],
  [/^src\/quant\/by-size\//, "quant/fit", "mistakes"],
  [/^src\/quant\/carried/, "arch/packed/checkpoints", "arch/packed/bitnet"],
  [/^src\/quant\//, "quant/quantize", "quant/split", "quant/fit", "run/execute", "mistakes"],
  [/^src\/run\/parts\//, "run/parts/samples", "eval/parts"],
  [
    /^src\/run\//,
    "run/one-writer",
    "run/late",
    "run/parts/file",
    "eval/parts",
    "commands/failure",
    "mistakes",
  ],
  [
    /^src\/eval\/perplexity\/(gate|sequential|statistics)/,
    "eval/gate",
    "report/gate-reports",
    "commands/json",
  ],
  [/^src\/eval\/perplexity\//, "eval/gate", "eval/parts", "eval/together"],
  [/^src\/eval\/imatrix\//, "eval/imatrix-options", "eval/parts", "mistakes"],
  [/^src\/eval\/calibrate\//, "commands/calibrate"],
  [/^src\/eval\//, "eval/parts", "eval/together", "eval/gate", "mistakes"],
  [/^src\/hub\//, "hub/hub-cli", "hub/push", "mistakes"],
  [/^src\/arch\/(published|outline)/, "quant/fit", "quant/fit-published"],
  [/^src\/arch\/families\//],
  [/^src\/arch\/adapter\//, "arch/lora-tied"],
  [
    /^src\/arch\/checkpoint\//,
    "arch/packed/checkpoints",
    "arch/forms/cases",
    "arch/families-refused",
    "mistakes",
  ],
  [
    /^src\/arch\//,
    "arch/families-refused",
    "arch/messages",
    "arch/configs/others",
    "arch/forms/published-forms",
  ],
];

export function widerTests(file: string): string[] {
  const [, ...tests] = WIDER.find(([source]) => source.test(file)) ?? [/$/];
  return tests.map((name) => `test/${name}.test.ts`);
}

/** Tests that have something in the place of a module, which they cannot where modules are loaded once: each is a run of its own. */
const ALONE: readonly (readonly [source: RegExp, ...tests: string[]])[] = [
  [/^src\/run\/write\//, "run/disk", "run/resume", "run/together"],
];

export function testsAlone(file: string): string[] {
  const [, ...tests] = ALONE.find(([source]) => source.test(file)) ?? [/$/];
  return tests.map((name) => `test/${name}.test.ts`);
}
