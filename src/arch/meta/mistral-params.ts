import * as v from "valibot";
import { LlqError } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
import { count, positive } from "../config.js";

// What params.json says of Mistral's own models beyond Meta's fields, as mistral-inference and llama.cpp's converter
// (--mistral-format) read it.

const number = v.pipe(v.number(), v.minValue(0));

export const mistralFields = {
  /** A text in some releases. */
  sliding_window: v.nullish(
    v.union([count, v.pipe(v.string(), v.regex(/^\d{1,9}$/)), v.array(v.nullable(count))]),
  ),
  max_position_embeddings: v.nullish(count),
  tied_embeddings: v.nullish(v.boolean()),
  model_type: v.nullish(v.string()),
  moe: v.nullish(
    v.looseObject({ num_experts: count, num_experts_per_tok: count, num_shared_experts: v.nullish(number) }),
  ),
  yarn: v.nullish(
    v.looseObject({
      factor: positive,
      original_max_position_embeddings: count,
      /** Turns from which on, and up to which, frequencies are kept and stretched. */
      beta: positive,
      alpha: positive,
      /** Whether attention is scaled by 1 + 0.1 ln(factor). */
      apply_scale: v.nullish(v.boolean()),
    }),
  ),
  llama_4_scaling: v.nullish(v.looseObject({ original_max_position_embeddings: count, beta: number })),
  quantization: v.nullish(v.looseObject({ qformat_weight: v.nullish(v.string()) })),
};

const schema = v.object({ ...mistralFields, rope_theta: v.nullish(positive) });

export type MistralParams = v.InferOutput<typeof schema> & Readonly<Record<string, unknown>>;

/**
 * What the config.json of transformers' conversion has beyond Meta's fields.
 * @throws LlqError `unsupported` for latent attention, state spaces, experts that are shared, windows of some layers, audio
 */
export function mistralConfig(file: string, params: MistralParams): Record<string, unknown> {
  refuseOthers(file, params);
  const { moe, yarn, llama_4_scaling: growth, sliding_window: window, rope_theta, quantization } = params;
  const rope = yarn && {
    rope_type: "yarn",
    rope_theta,
    factor: yarn.factor,
    original_max_position_embeddings: yarn.original_max_position_embeddings,
    beta_fast: yarn.beta,
    beta_slow: yarn.alpha,
    ...(yarn.apply_scale === false && { mscale: 1, mscale_all_dim: 1 }),
    ...(growth && { llama_4_scaling_beta: growth.beta }),
  };
  return {
    ...(moe && {
      architectures: ["MixtralForCausalLM"],
      num_local_experts: moe.num_experts,
      num_experts_per_tok: moe.num_experts_per_tok,
    }),
    ...(growth && { architectures: ["Ministral3ForCausalLM"], model_type: "ministral3" }),
    ...(rope && { rope_parameters: rope }),
    ...(typeof window === "string" && { sliding_window: Number(window) }),
    ...(params.tied_embeddings === true && { tie_word_embeddings: true }),
    ...(quantization && { quantization_config: { quant_method: "fp8", activation_scheme: "static" } }),
  };
}

function refuseOthers(file: string, params: MistralParams): void {
  const { moe, yarn, llama_4_scaling: growth, sliding_window: window, quantization } = params;
  const refuse = (what: string): never => {
    throw new LlqError("unsupported", t`${file}: ${what} in Meta's or Mistral's own format`, {
      hint: t`the model's Hugging Face folder may be read`,
    });
  };
  if (params["q_lora_rank"] != null || params["kv_lora_rank"] != null) refuse(t`latent attention`);
  if (params.model_type === "mamba") refuse(t`a state space model`);
  if (params["num_experts"] != null || (moe?.num_shared_experts ?? 0) > 0) {
    refuse(t`a mixture with experts for all tokens`);
  }
  if (Array.isArray(window) && window.some((each) => each !== null))
    refuse(t`attention with windows in some layers`);
  if (params["multimodal"] != null && !isVision(params["multimodal"])) refuse(t`a model that hears`);
  if (moe && (yarn || growth)) refuse(t`a mixture of experts with stretched RoPE`);
  if (growth && !yarn) refuse(t`llama_4_scaling without yarn`);
  if (growth && yarn && growth.original_max_position_embeddings !== yarn.original_max_position_embeddings) {
    refuse(t`llama_4_scaling with another context than yarn's`);
  }
  const format = quantization && (quantization.qformat_weight ?? quantization["quant_method"]);
  if (quantization && format !== "fp8_e4m3") refuse(t`quantization ${JSON.stringify(format)}`);
}

function isVision(multimodal: unknown): boolean {
  return v.is(v.object({ vision_encoder_args: v.unknown() }), multimodal);
}
