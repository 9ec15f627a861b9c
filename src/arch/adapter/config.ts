import * as v from "valibot";
import { existsSync } from "#host/files";
import { readSmallFile } from "../../../formats/bytes.js";
import { badInput, LlqError } from "../../../formats/errors.js";
import { faultsOf } from "../../../formats/faults.js";
import { parseJson } from "../../../formats/json.js";
import { boundedExpression } from "../../expression.js";
import { t } from "../../language/t.js";

const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 20));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const flag = v.nullish(v.boolean());

/** What PEFT's adapter_config.json says that changes the arithmetic. Unknown fields pass. */
const schema = v.looseObject({
  peft_type: v.string(),
  r: count,
  lora_alpha: positive,
  rank_pattern: v.nullish(v.record(v.string(), count)),
  alpha_pattern: v.nullish(v.record(v.string(), positive)),
  use_rslora: flag,
  modules_to_save: v.nullish(v.array(v.string())),
  ensure_weight_tying: flag,
  init_lora_weights: v.nullish(v.union([v.boolean(), v.string()])),
});

export type AdapterConfig = v.InferOutput<typeof schema>;

/** Fields that, when set, make of LoRA something else; and what. */
const OTHER_KINDS: Readonly<Record<string, () => string>> = {
  use_dora: () => t`a DoRA adapter`,
  lora_bias: () => t`biases of the adapter's own`,
  layer_replication: () => t`an adapter that repeats layers`,
  trainable_token_indices: () =>
    t`single rows of the embedding, trained by themselves (trainable_token_indices)`,
  target_parameters: () =>
    t`parameters that are no module's weight, such as stacked experts (target_parameters)`,
  alora_invocation_tokens: () => t`an adapter that begins to work behind certain tokens (aLoRA)`,
  use_qalora: () => t`a QA-LoRA adapter`,
  use_bdlora: () => t`a block-diagonal adapter`,
  kasa_config: () => t`a KaSA adapter`,
  monteclora_config: () => t`an adapter that draws at random (MonteCLoRA)`,
  arrow_config: () => t`several adapters with a router (Arrow)`,
};

/** Ways to begin that leave the base as it is. The others took a part of it away, which PEFT does again on loading. */
const PLAIN_INITS: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  "gaussian",
  "orthogonal",
  "eva",
  "mica",
];

const MAX_CONFIG_BYTES = 16 << 20;

/** @throws LlqError `bad-input` for a file that is missing or does not fit, `unsupported` for adapters other than LoRA */
export function readAdapterConfig(file: string): AdapterConfig {
  if (!existsSync(file)) {
    throw badInput(t`${file}: no such file`, t`--lora takes the folder that PEFT's save_pretrained wrote`);
  }
  const result = v.safeParse(schema, parseJson(file, readSmallFile(file, MAX_CONFIG_BYTES)));
  if (!result.success) {
    throw badInput(`${file}: ${faultsOf(result.issues)}`);
  }
  const config = result.output;
  const what = otherKind(config);
  if (what === undefined) return config;
  throw new LlqError("unsupported", `${file}: ${what}`, {
    hint: t`LoRA is supported; merge others with PEFT`,
  });
}

function otherKind(config: AdapterConfig): string | undefined {
  const { peft_type: type, init_lora_weights: init } = config;
  if (type !== "LORA") return t`an adapter of type ${type}`;
  if (!PLAIN_INITS.includes(init)) return t`an adapter that was taken out of the base's weights (${init})`;
  const field = Object.keys(OTHER_KINDS).find((each) => isSet(config[each]));
  return field && OTHER_KINDS[field]?.();
}

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== false;
}

/**
 * The value for a module: of the first key that matches its name or the end of it, as PEFT takes them.
 * @throws LlqError `unsupported` for an expression that might run for ever
 */
export function patternValue(
  file: string,
  pattern: Readonly<Record<string, number>> | null | undefined,
  module: string,
): number | undefined {
  const found = Object.entries(pattern ?? {}).find(([key]) => expression(file, key).test(module));
  return found?.[1];
}

/** PEFT takes keys for regular expressions. */
function expression(file: string, key: string): RegExp {
  const bounded = boundedExpression(key, (source) => `^(?:.*\\.)?(?:${source})$`);
  if (bounded !== undefined) return bounded;
  throw new LlqError("unsupported", t`${file}: the pattern ${JSON.stringify(key.slice(0, 80))}`, {
    hint: t`names of modules and simple expressions are supported; merge the adapter with PEFT`,
  });
}

/** Whether PEFT keeps a whole copy of the module, in place of the base's: `modules_to_save` has the ends of names. */
export function isSavedWhole({ modules_to_save: saved }: AdapterConfig, module: string): boolean {
  return (saved ?? []).some((name) => module === name || module.endsWith(`.${name}`));
}
