import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { internlm2 } from "./internlm2.js";
import { llama } from "./llama.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";

// Models that see, whose language model is one of another family: the type of the part says which. What is not said is as
// transformers' class of that type has it.

interface Wrapping {
  readonly covers: readonly string[];
  readonly year?: number;
  readonly classes: readonly string[];
  /** `model_type` of the language model; that of the whole stands for it where the part says none. */
  readonly types: readonly string[];
  /** Fields that config files leave out. */
  readonly usual?: Readonly<Record<string, unknown>>;
}

function wrapped(of: Architecture, { covers, year, classes, types, usual = {} }: Wrapping): Architecture {
  return {
    ...of,
    ...{ covers, year, classes },
    accepts: ({ model_type }) => types.includes(String(model_type)),
    read: (file, json) => {
      const config = v.safeParse(v.looseObject({}), json);
      return of.read(file, config.success ? { ...usual, ...config.output } : json);
    },
  };
}

const LLAMA = {
  ...{ hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ vocab_size: 32000, max_position_embeddings: 2048, rms_norm_eps: 1e-6 },
};
const MISTRAL = {
  ...{ hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ num_key_value_heads: 8, vocab_size: 32000, max_position_embeddings: 131072, rms_norm_eps: 1e-6 },
  sliding_window: 4096,
};

const llava = ["LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration"];
const idefics = ["Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"];
const internvl = ["InternVLForConditionalGeneration", "InternVLChatModel"];

export const wrappers: readonly Architecture[] = [
  wrapped(llama, {
    covers: ["LLaVA, Idefics 3, SmolVLM and InternVL with a Llama"],
    year: 2025,
    classes: [...llava, ...idefics, ...internvl],
    types: ["llama", "llava", "llava_next", "idefics3", "smolvlm"],
    usual: LLAMA,
  }),
  wrapped(llama, { covers: ["LLaVA with a Mistral"], classes: llava, types: ["mistral"], usual: MISTRAL }),
  wrapped(qwen2, {
    covers: ["LLaVA and InternVL with a Qwen2"],
    year: 2025,
    classes: [...llava, ...internvl],
    types: ["qwen2", "internvl"],
  }),
  wrapped(qwen3, {
    covers: ["LLaVA and InternVL with a Qwen3"],
    year: 2025,
    classes: [...llava, ...internvl],
    types: ["qwen3"],
  }),
  wrapped(internlm2, { covers: ["InternVL with an InternLM2"], classes: internvl, types: ["internlm2"] }),
];
