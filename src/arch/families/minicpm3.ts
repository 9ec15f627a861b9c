import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, decoderFields, decoderKeys, expectField, flag, positive, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { ropeKeys, scalingType } from "../rope-scaling.js";
import { ropeFactors } from "../rows.js";
import type { DecoderTraits } from "../traits.js";
import { deepseek2, latentDecoder } from "./deepseek2.js";

const schema = v.looseObject({
  ...decoderFields,
  rms_norm_eps: v.nullish(positive, 1e-5),
  q_lora_rank: v.nullish(count),
  kv_lora_rank: v.nullish(count, 256),
  qk_nope_head_dim: v.nullish(count, 64),
  qk_rope_head_dim: v.nullish(count, 32),
  v_head_dim: v.nullish(count),
  scale_emb: v.optional(positive, 12),
  scale_depth: v.nullish(positive),
  dim_model_base: v.nullish(positive),
  attention_bias: flag,
  mlp_bias: flag,
});

type Config = v.InferOutput<typeof schema>;

/** What llama.cpp has of each model, whatever its file says. */
const FIXED = { embedding: 12, depth: 1.4, base: 256 };

function read(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const rope = scalingType(config);
  expectField("rope_scaling's type", rope, "default", "longrope", "linear", "yarn", "dynamic");
  expectField("mlp_bias", config.mlp_bias ?? false, false);
  const { hidden_size: hidden, num_attention_heads: heads, num_hidden_layers: layers } = config;
  const { qk_rope_head_dim: rotary, qk_nope_head_dim: straight, v_head_dim: value = hidden / heads } = config;
  const own = new Set(["attention.head_count_kv", "attention.key_length", "attention.value_length"]);
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings ?? true,
    keys: [
      ...decoderKeys({ ...config, head_dim: rotary }).filter(([key]) => !own.has(key)),
      ["attention.head_count_kv", meta.u32(heads)],
      ["attention.key_length", meta.u32(straight + rotary)],
      ...(value === hidden / heads ? [] : [["attention.value_length", meta.u32(value!)] as const]),
      ...(config.q_lora_rank == null
        ? []
        : [["attention.q_lora_rank", meta.u32(config.q_lora_rank)] as const]),
      ["attention.kv_lora_rank", meta.u32(config.kv_lora_rank)],
      ...ropeKeys(config, rotary).filter((each) => !isUsualBase(each)),
      ...scaleKeys(config, layers),
    ],
    optional: config.attention_bias === true ? ["attn_q_a_bias", "attn_kv_a_bias", "attn_output_bias"] : [],
    remarks: remarksOf(config),
  };
}

/** What loaders take where a file says nothing, as files of llama.cpp's converter do. */
function isUsualBase([key, { value }]: HfModel["keys"][number]): boolean {
  return key === "rope.freq_base" && value === 10000;
}

/** Keys of llq's own: files of llama.cpp have none, as its program has the numbers of the published model. */
function scaleKeys(config: Config, layers: number): HfModel["keys"] {
  if (hasFixedScales(config)) return [];
  const { scale_emb, scale_depth, dim_model_base, hidden_size } = config;
  return [
    ["embedding_scale", meta.f32(scale_emb)],
    ["residual_scale", meta.f32(scale_depth == null ? 1 : scale_depth / Math.sqrt(layers))],
    ["logit_scale", meta.f32(dim_model_base == null ? 1 : hidden_size / dim_model_base)],
  ];
}

function hasFixedScales({ scale_emb, scale_depth, dim_model_base }: Config): boolean {
  return scale_emb === FIXED.embedding && scale_depth === FIXED.depth && dim_model_base === FIXED.base;
}

function remarksOf(config: Config): string[] {
  const { scale_emb: scale, scale_depth: depth, dim_model_base: base } = config;
  const remarks: string[] = [];
  if (!hasFixedScales(config)) {
    const own = t`scale_emb ${scale}, scale_depth ${depth ?? "none"} and dim_model_base ${base ?? "none"}`;
    const fixed = t`${FIXED.embedding}, ${FIXED.depth} and ${FIXED.base}`;
    remarks.push(
      t`${own} are ${fixed} in llama.cpp, whatever a file says: what it makes of the model is wrong`,
    );
  }
  if (config.q_lora_rank == null) remarks.push(t`llama.cpp loads no minicpm3 without q_lora_rank`);
  if (config.attention_bias === true) remarks.push(t`llama.cpp loads no minicpm3 with biases of attention`);
  return remarks;
}

function decoder(h: HParams): DecoderTraits {
  const { embeddingScale = FIXED.embedding, logitScale = h.embeddingLength / FIXED.base } = h;
  const { residualScale: scale = FIXED.depth / Math.sqrt(h.blockCount) } = h;
  const latent = latentDecoder(h, { gating: "softmax" }, { rope: { pairs: "halves" } });
  return {
    ...latent,
    embeddingScale,
    logitScale: 1 / logitScale,
    layers: latent.layers.map((layer) => ({ ...layer, residual: { of: "input", scale } })),
  };
}

/** DeepSeek's attention, whose keys and values GGUF has as one matrix, and MiniCPM's multipliers. */
export const minicpm3: Architecture = {
  ...deepseek2,
  name: "minicpm3",
  covers: ["MiniCPM3"],
  classes: ["MiniCPM3ForCausalLM"],
  read: reader(schema, read),
  tensors: [...ropeFactors, ...deepseek2.tensors],
  decoder,
};
