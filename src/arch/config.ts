import * as v from "valibot";
import { badInput } from "../../formats/errors.js";

const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const architectures = v.pipe(v.array(v.string()), v.minLength(1));

const ropeScaling = v.looseObject({
  rope_type: v.optional(v.string()),
  type: v.optional(v.string()),
  factor: v.optional(positive),
  original_max_position_embeddings: v.optional(count),
  low_freq_factor: v.optional(positive),
  high_freq_factor: v.optional(positive),
  attention_factor: v.nullish(positive),
  beta_fast: v.nullish(positive),
  beta_slow: v.nullish(positive),
});

/** The fields of a Hugging Face config.json that decoders of the Llama kind share. Unknown fields pass. */
const schema = v.looseObject({
  architectures,
  _name_or_path: v.nullish(v.string()),
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count),
  head_dim: v.nullish(count),
  intermediate_size: count,
  vocab_size: count,
  max_position_embeddings: count,
  rms_norm_eps: positive,
  rope_theta: v.nullish(positive),
  rope_scaling: v.nullish(ropeScaling),
  sliding_window: v.nullish(count),
  tie_word_embeddings: v.nullish(v.boolean()),
  hidden_act: v.optional(v.string()),
});

export type HfConfig = v.InferOutput<typeof schema>;

/** What config.json calls its model. @throws LlqError `bad-input` when it names none */
export function configArchitecture(file: string, json: unknown): string {
  const result = v.safeParse(v.looseObject({ architectures }), json);
  if (result.success) return result.output.architectures[0]!;
  throw badInput(`${file}: no "architectures"`, "is this the config.json of a language model?");
}

/** @throws LlqError `bad-input` naming each field that is missing or out of range */
export function parseConfig(file: string, json: unknown): HfConfig {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => `${v.getDotPath(issue) ?? "the whole"}: ${issue.message}`);
  throw badInput(`${file}: ${faults.join("; ")}`);
}
