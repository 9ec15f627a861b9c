import * as v from "valibot";
import type { Architecture } from "../architecture.js";
import { exaone4 } from "./exaone4.js";
import { internlm2 } from "./internlm2.js";
import { lfm2 } from "./lfm2.js";
import { llama } from "./llama.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";

// Models that see or hear, whose language model is one of another family: the type of the part says which. What is not said is as
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

const QWEN2 = {
  ...{ hidden_size: 4096, intermediate_size: 22016, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ vocab_size: 151936, max_position_embeddings: 32768, rms_norm_eps: 1e-6 },
};

const llava = ["LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration"];
const onevision = ["LlavaOnevisionForConditionalGeneration"];
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
  wrapped(llama, {
    covers: ["Voxtral"],
    year: 2025,
    classes: ["VoxtralForConditionalGeneration"],
    types: ["llama"],
    usual: LLAMA,
  }),
  wrapped(qwen2, {
    covers: ["LLaVA, LLaVA-OneVision, InternVL and Qwen2-Audio with a Qwen2"],
    year: 2025,
    classes: [...llava, ...onevision, ...internvl, "Qwen2AudioForConditionalGeneration"],
    types: ["qwen2", "internvl"],
    usual: QWEN2,
  }),
  wrapped(qwen3, {
    covers: ["LLaVA, LLaVA-OneVision and InternVL with a Qwen3"],
    year: 2025,
    classes: [...llava, ...onevision, ...internvl],
    types: ["qwen3"],
    usual: QWEN2,
  }),
  wrapped(lfm2, {
    covers: ["LFM2-VL"],
    year: 2026,
    classes: ["Lfm2VlForConditionalGeneration"],
    types: ["lfm2"],
  }),
  wrapped(exaone4, {
    covers: ["EXAONE 4.5"],
    year: 2026,
    classes: ["Exaone4_5_ForConditionalGeneration"],
    types: ["exaone4"],
  }),
  wrapped(internlm2, { covers: ["InternVL with an InternLM2"], classes: internvl, types: ["internlm2"] }),
];
