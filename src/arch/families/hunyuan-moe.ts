import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel } from "../architecture.js";
import {
  count,
  decoderFields,
  decoderKeys,
  expectField,
  flag,
  headDim,
  positive,
  reader,
} from "../config.js";
import { ropeBase, ropeKeys, ropeScaling } from "../rope-scaling.js";
import { ATTENTION_BIASES, experts, linear, norm, separateQkv, sharedExpert, tensor } from "../rows.js";
import { attention, decoderOf } from "../traits.js";
import { expertKeys, routerOf } from "./experts.js";

/** One number, or one for each layer. */
const counts = v.union([count, v.pipe(v.array(count), v.minLength(1))]);
const scaling = v.looseObject({ ...ropeScaling.entries, alpha: v.nullish(positive) });

const schema = v.looseObject({
  ...decoderFields,
  rope_scaling: v.nullish(scaling),
  rope_parameters: v.nullish(scaling),
  attention_bias: flag,
  num_experts: counts,
  moe_topk: counts,
  moe_intermediate_size: v.nullish(counts),
  num_shared_expert: v.nullish(counts),
  use_qk_norm: flag,
  use_cla: flag,
  use_mixed_mlp_moe: flag,
});

type Config = v.InferOutput<typeof schema>;

/** A number of which GGUF has one for all layers. */
function common(name: string, values: number | readonly number[], layers: number): number {
  if (typeof values === "number") return values;
  if (values.length !== layers)
    throw badInput(t`config.json: ${name} has ${values.length} of ${layers} layers`);
  for (const value of values) expectField(name, value, values[0]);
  return values[0]!;
}

/** What llama.cpp's converter takes for the context of a model of the only alpha it knows, whatever the config says. */
const STRETCHED = { alpha: 1000, base: 10000, width: 128, context: 256 * 1024 };

/** The base is larger by α^(d / (d - 2)), and that is all that becomes of RoPE ("NTK-aware"). */
function ropeOf(config: Config): HfModel["keys"] {
  const rope = config.rope_parameters ?? config.rope_scaling;
  const width = headDim(config);
  const type = rope?.rope_type ?? rope?.type;
  if (type !== "dynamic" || rope?.alpha == null) return ropeKeys(config, width);
  const base = ropeBase(config);
  const { alpha, base: usual, width: head, context } = STRETCHED;
  const isKnown = rope.alpha === alpha && base === usual && width === head;
  return [
    ["rope.dimension_count", meta.u32(width)],
    ["rope.freq_base", meta.f32(base * rope.alpha ** (width / (width - 2)))],
    ["rope.scaling.type", meta.string("none")],
    ["rope.scaling.factor", meta.f32(1)],
    ["rope.scaling.original_context_length", meta.u32(isKnown ? context : config.max_position_embeddings)],
    ["context_length", meta.u32(isKnown ? context : config.max_position_embeddings)],
  ];
}

/** Queries and keys are normed behind RoPE; experts by softmax, and one that is shared. */
export const hunyuanMoe: Architecture = {
  name: "hunyuan-moe",
  covers: ["Hunyuan-A13B"],
  year: 2025,
  classes: ["HunYuanMoEV1ForCausalLM"],
  read: reader(schema, (config) => {
    expectField("hidden_act", config.hidden_act ?? "silu", "silu");
    expectField("use_qk_norm", config.use_qk_norm ?? true, true);
    expectField("use_cla", config.use_cla ?? false, false);
    expectField("use_mixed_mlp_moe", config.use_mixed_mlp_moe ?? true, true);
    const { num_hidden_layers: layers, intermediate_size: width } = config;
    expectField("num_shared_expert", common("num_shared_expert", config.num_shared_expert ?? 1, layers), 1);
    const moeWidth = common("moe_intermediate_size", config.moe_intermediate_size ?? width, layers);
    const own = new Set(["context_length"]);
    const rope = ropeOf(config);
    const replaced = rope.filter(([key]) => own.has(key)).map(([key]) => key);
    return {
      vocabSize: config.vocab_size,
      tied: config.tie_word_embeddings === true,
      keys: [
        ...decoderKeys(config).filter(([key]) => !replaced.includes(key)),
        ...rope,
        ...expertKeys({
          count: common("num_experts", config.num_experts, layers),
          used: common("moe_topk", config.moe_topk, layers),
          feedForwardLength: moeWidth,
          sharedCount: 1,
          sharedFeedForwardLength: width,
        }),
      ],
      optional: config.attention_bias === true ? ATTENTION_BIASES : [],
      remarks:
        config.attention_bias === true ? [t`llama.cpp loads no Hunyuan-A13B whose attention has biases`] : [],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...separateQkv("model.layers.{i}.self_attn", { bias: "optional" }),
    ...norm("attn_q_norm", "head", "model.layers.{i}.self_attn.query_layernorm"),
    ...norm("attn_k_norm", "head", "model.layers.{i}.self_attn.key_layernorm"),
    ...linear("attn_output", ["embd", "attn"], "model.layers.{i}.self_attn.o_proj", { bias: "optional" }),
    ...norm("ffn_norm", "embd", "model.layers.{i}.post_attention_layernorm"),
    tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.gate.wg.weight"),
    ...experts("model.layers.{i}.mlp.experts.{e}", { gate: "gate_proj", down: "down_proj", up: "up_proj" }),
    ...sharedExpert("model.layers.{i}.mlp.shared_mlp"),
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) =>
    decoderOf(h, () => attention({ rope: { pairs: "halves" }, normsAfterRope: true }), {
      activation: "silu",
      router: routerOf(h, { gating: "softmax", normalize: true }),
    }),
};
