import { t } from "../../language/t.js";
import type { HfModel } from "../architecture.js";

// What GGUF's keys say, and llama.cpp does not look at in some architectures or has no place for: it loads the file and
// computes something else, or it refuses it.

/** Numbers among a model's keys, by their names without the architecture. */
type Numbers = (key: string) => number | undefined;

interface Unheard {
  /** Undefined: all. */
  readonly architectures: readonly string[] | undefined;
  readonly say: (of: Numbers, has: (key: string) => boolean, architecture: string) => string | undefined;
}

/** Whose loaders take queries for as wide as the embedding. */
// biome-ignore format: words
const AS_WIDE = [
  "baichuan", "bitnet", "bloom", "chatglm", "cohere2", "command-r", "dbrx", "exaone4", "falcon", "gpt2", "gptneox", "internlm2",
  "jamba", "lfm2", "lfm2moe", "mpt", "nemotron", "olmo", "olmo2", "olmoe", "phi2", "phi3", "phimoe", "qwen", "qwen2", "qwen2moe",
  "qwen2vl", "stablelm", "starcoder", "starcoder2",
];

/** Whose loaders read YaRN's bounds. */
const READ_BOUNDS = ["mistral3", "grok"];

const TABLE: readonly Unheard[] = [
  {
    architectures: ["llama", "mistral3", "phi3", "starcoder2"],
    say: (of) => {
      const [window, context] = [of("attention.sliding_window") ?? 0, of("context_length") ?? 0];
      if (window === 0 || window >= context) return undefined;
      return t`a token sees ${window} tokens; llama.cpp has it see all, and computes something else in longer texts`;
    },
  },
  {
    architectures: ["gemma2", "gemma3"],
    say: (of) => {
      const scale = of("attention.scale");
      if (scale === undefined) return undefined;
      const scalar = Number((scale ** -2).toPrecision(6));
      return t`llama.cpp does not look at query_pre_attn_scalar (${scalar}) but takes the width of a head for it`;
    },
  },
  {
    architectures: ["gpt-oss"],
    say: (of, has) => {
      const own = ["swiglu_alpha", "swiglu_limit"].filter((key) => of(key) !== undefined);
      if (has("attention.sliding_window_pattern")) own.push("layer_types");
      if (own.length === 0) return undefined;
      return t`llama.cpp has these of any gpt-oss as they are in the published ones, and computes something else: ${own.join(", ")}`;
    },
  },
  {
    architectures: ["olmoe"],
    say: (of, has) => {
      const own = ["attention.clamp_kqv", "expert_weights_norm"].filter(has);
      const [heads, kv] = [of("attention.head_count"), of("attention.head_count_kv")];
      if (kv !== heads)
        return t`llama.cpp loads no OLMoE whose ${heads} heads share ${kv} of keys and values`;
      return own.length === 0
        ? undefined
        : t`llama.cpp does not look at ${own.join(" and ")} of an OLMoE, and computes something else`;
    },
  },
  {
    architectures: AS_WIDE,
    say: (of, _, architecture) => {
      const [heads, width] = [of("attention.head_count") ?? 0, of("attention.key_length") ?? 0];
      const hidden = of("embedding_length");
      if (heads * width === 0 || heads * width === hidden) return undefined;
      return t`llama.cpp loads no ${architecture} whose ${heads} heads of ${width} are not ${hidden} together`;
    },
  },
  {
    architectures: ["chatglm1"],
    say: () => t`llama.cpp knows no such architecture: the GGUF is llq's own`,
  },
  {
    architectures: undefined,
    say: (of) => {
      const times = of("rope.scaling.yarn_magnitude");
      if (times === undefined) return undefined;
      const much = Number(times.toPrecision(6));
      return t`YaRN's mscale and mscale_all_dim differ: cosines and sines are ${much} times what llama.cpp has (0.005 of ln(perplexity) on a tiny random model)`;
    },
  },
  {
    architectures: undefined,
    say: (of, _, architecture) => {
      const fast = Number((of("rope.scaling.yarn_beta_fast") ?? 32).toPrecision(6));
      const slow = Number((of("rope.scaling.yarn_beta_slow") ?? 1).toPrecision(6));
      if ((fast === 32 && slow === 1) || READ_BOUNDS.includes(architecture)) return undefined;
      return t`YaRN's beta_fast and beta_slow are ${fast} and ${slow}; llama.cpp takes 32 and 1 unless run with --yarn-beta-fast ${fast} --yarn-beta-slow ${slow}`;
    },
  },
];

/** What is to be said of a model with these keys. */
export function unheardKeys(architecture: string, { keys }: Pick<HfModel, "keys">): string[] {
  const fields = new Map(keys);
  const of: Numbers = (key) => {
    const value = fields.get(key)?.value;
    return typeof value === "number" ? value : undefined;
  };
  return TABLE.flatMap(({ architectures, say }) =>
    architectures?.includes(architecture) === false
      ? []
      : (say(of, (key) => fields.has(key), architecture) ?? []),
  );
}
