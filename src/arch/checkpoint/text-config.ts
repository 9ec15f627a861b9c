import * as v from "valibot";

const part = v.record(v.string(), v.unknown());

/** Where the configuration of a model that sees or hears has that of its language model, by writer. */
const PLACES = [["thinker_config", "text_config"], ["text_config"], ["llm_config"], ["language_config"]];

/**
 * A config.json as a language model alone would have it: in models that see or hear, its part is laid over the whole. The
 * class stays the whole's.
 */
export function textConfig(json: unknown): unknown {
  const whole = v.safeParse(part, json);
  if (!whole.success) return json;
  for (const place of PLACES) {
    const inner = v.safeParse(part, place.reduce<unknown>(field, json));
    if (!inner.success) continue;
    const { architectures = inner.output.architectures } = whole.output;
    // Either may tie the output; one that a checkpoint has counts in any case.
    const ties = [inner, whole].map(({ output }) => output.tie_word_embeddings);
    const tie = ties.includes(true) ? { tie_word_embeddings: true } : {};
    return { ...whole.output, ...inner.output, ...tie, architectures };
  }
  return json;
}

function field(value: unknown, name: string): unknown {
  const parsed = v.safeParse(part, value);
  return parsed.success ? parsed.output[name] : undefined;
}
