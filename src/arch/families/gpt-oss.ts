import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { across, everyOther, everyOtherBias, type View } from "../checkpoint/woven-experts.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  layerTypes,
  positive,
  reader,
} from "../config.js";
import type { Dimension } from "../dimensions.js";
import { ropeKeys, type ropeScaling } from "../rope-scaling.js";
import { ATTENTION_BIASES, linear, norm, normBehindAttention, separateQkv, tensor } from "../rows.js";
import { attention, perLayer } from "../traits.js";
import { expertFields, expertKeys, readExpertFields, routerOf } from "./experts.js";

const schema = v.looseObject({
  ...decoderFields,
  ...expertFields,
  num_experts_per_tok: v.nullish(count),
  experts_per_token: v.nullish(count),
  /** What `intermediate_size` says. */
  moe_intermediate_size: v.nullish(count),
  attention_bias: flag,
  sliding_window: count,
  layer_types: layerTypes,
  swiglu_alpha: v.nullish(positive),
  swiglu_limit: v.nullish(positive),
});

type Config = v.InferOutput<typeof schema>;

/** Of so many layers the last has no window. */
const PERIOD = 2;
/** Of the experts' clamped SwiGLU. */
const ALPHA = 1.702;
const LIMIT = 7;

/** transformers' RoPE where the config has none. */
const USUAL_ROPE: v.InferOutput<typeof ropeScaling> = {
  rope_type: "yarn",
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};

function readGptOss(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const used = config.num_experts_per_tok ?? config.experts_per_token;
  if (used == null) throw badInput(t`config.json: num_experts_per_tok is missing`);
  const mixture = readExpertFields(
    { ...config, num_experts_per_tok: used, moe_intermediate_size: config.intermediate_size },
    { gating: "softmaxOfChosen", normalize: false },
  );
  const rope = config.rope_parameters ?? config.rope_scaling ?? USUAL_ROPE;
  const number = (key: string, value: number | null | undefined, usual: number) =>
    value == null || value === usual ? [] : [[key, meta.f32(value)] as const];
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    keys: [
      ...decoderKeys(config),
      ...ropeKeys(
        { ...config, rope_theta: config.rope_theta ?? 150000, rope_parameters: rope },
        headDim(config),
      ),
      ...expertKeys({ count: mixture.count, used, feedForwardLength: config.intermediate_size }),
      ["attention.sliding_window", meta.u32(config.sliding_window)],
      ...windowKeys(config),
      // llq's own: llama.cpp computes with the usual ones.
      ...number("swiglu_alpha", config.swiglu_alpha, ALPHA),
      ...number("swiglu_limit", config.swiglu_limit, LIMIT),
    ],
    optional: (config.attention_bias ?? true) ? ATTENTION_BIASES : [],
  };
}

/** None where windows take turns as they usually do. */
function windowKeys({ layer_types: types, num_hidden_layers: layers }: Config): HfModel["keys"] {
  if (types == null) return [];
  if (types.length !== layers)
    throw badInput(t`config.json: layer_types has ${types.length} of ${layers} layers`);
  const hasWindow = types.map((type) => {
    expectField("layer_types", type, "sliding_attention", "full_attention");
    return type === "sliding_attention";
  });
  const isUsual = hasWindow.every((has, i) => has === (i % PERIOD !== PERIOD - 1));
  return isUsual ? [] : [["attention.sliding_window_pattern", meta.bools(hasWindow)]];
}

/** A matrix of all experts, or their biases; `stored` is behind `mlp.experts.` in the checkpoint. */
function stacked(
  role: "ffn_gate_exps" | "ffn_up_exps" | "ffn_down_exps",
  [rows, columns]: readonly [Dimension, Dimension],
  stored: string,
  view: View,
  biasView?: View,
): TensorRow[] {
  const source = `model.layers.{i}.mlp.experts.${stored}`;
  const options = biasView === undefined ? {} : { view: biasView };
  const bias = tensor(role, ["experts", rows], `${source}_bias`, options, ".bias");
  return [tensor(role, ["experts", rows, columns], source, { view }), { ...bias, role: `${role}_bias` }];
}

/** Every other layer sees a window; heads may look at nothing (sinks); everything in the experts has a bias. */
export const gptOss: Architecture = {
  name: "gpt-oss",
  covers: ["gpt-oss 20B and 120B"],
  year: 2025,
  classes: ["GptOssForCausalLM"],
  read: reader(schema, readGptOss),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    tensor("attn_sinks", ["heads"], "model.layers.{i}.self_attn.sinks"),
    normBehindAttention("model.layers.{i}.post_attention_layernorm"),
    tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.router.weight"),
    tensor("router_bias", ["experts"], "model.layers.{i}.mlp.router.bias", {}, ".bias"),
    ...stacked("ffn_gate_exps", ["expertFfn", "embd"], "gate_up_proj", everyOther(0), everyOtherBias(0)),
    ...stacked("ffn_up_exps", ["expertFfn", "embd"], "gate_up_proj", everyOther(1), everyOtherBias(1)),
    ...stacked("ffn_down_exps", ["embd", "expertFfn"], "down_proj", across),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({
    norm: "rms",
    layers: perLayer(h, (i) => ({
      mixer: attention({
        rope: { pairs: "halves" },
        window: (h.layers[i]!.hasWindow ?? i % PERIOD !== PERIOD - 1) ? h.slidingWindow : undefined,
      }),
      feedForward: {
        activation: { kind: "clamped_swiglu", parameters: [h.swigluAlpha ?? ALPHA, h.swigluLimit ?? LIMIT] },
        router: routerOf(h, { gating: "softmaxOfChosen" }),
      },
    })),
  }),
};
