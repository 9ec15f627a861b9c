import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, headDim, positive, reader } from "../config.js";
import { grouped } from "../fused.js";
import { ropeKeys, ropeScaling } from "../rope-scaling.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, attention } from "../traits.js";

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: v.nullish(count),
  n_layer: v.nullish(count),
  num_attention_heads: v.nullish(count),
  n_head: v.nullish(count),
  num_kv_heads: v.nullish(count),
  n_head_kv: v.nullish(count),
  ffn_hidden_size: v.nullish(count),
  max_position_embeddings: v.nullish(count),
  layer_norm_epsilon: positive,
  rope_theta: v.nullish(positive),
  rope_scaling: v.nullish(ropeScaling),
  rope_parameters: v.nullish(ropeScaling),
  activation: v.nullish(v.string()),
  alibi: flag,
  bias: flag,
  multi_query: flag,
  new_decoder_architecture: flag,
  num_ln_in_parallel_attn: v.nullish(count),
  parallel_attn: flag,
  tie_word_embeddings: flag,
});

const BIASES: readonly Role[] = ["attn_qkv_bias", "attn_output_bias", "ffn_up_bias", "ffn_down_bias"];

/** Of the first releases, RefinedWeb (40B) and RefinedWebModel (7B), whose fields have other names, too. */
function readFalcon(config: v.InferOutput<typeof schema>): HfModel {
  const layers = either("num_hidden_layers", config.num_hidden_layers ?? config.n_layer);
  const heads = either("num_attention_heads", config.num_attention_heads ?? config.n_head);
  const stated = config.num_kv_heads ?? config.n_head_kv;
  // Only the 40B's config says how many; the 7B's says multi_query, whatever number stands beside it.
  const isNew = config.new_decoder_architecture ?? config.n_head_kv != null;
  const headsKv = isNew ? (stated ?? heads) : config.multi_query === false ? heads : 1;
  expectField("alibi", config.alibi ?? false, false);
  expectField("activation", config.activation ?? "gelu", "gelu");
  const isParallel = config.parallel_attn ?? true;
  if (isNew) expectField("parallel_attn", isParallel, true);
  const norms = isNew ? (config.num_ln_in_parallel_attn ?? 2) : 1;
  expectField("num_ln_in_parallel_attn", norms, 1, 2);
  const context = config.max_position_embeddings ?? 2048;
  const rope = { ...config, max_position_embeddings: context };
  return {
    vocabSize: config.vocab_size,
    tied: false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(context)],
      ["tensor_data_layout", meta.string("jploski")],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["feed_forward_length", meta.u32(config.ffn_hidden_size ?? 4 * config.hidden_size)],
      ["block_count", meta.u32(layers)],
      ["attention.head_count", meta.u32(heads)],
      ["attention.head_count_kv", meta.u32(headsKv)],
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
      // A key of llq's own here.
      ...(isParallel ? [] : [["use_parallel_residual", meta.bool(false)] as const]),
      ...ropeKeys(rope, headDim({ hidden_size: config.hidden_size, num_attention_heads: heads }), {
        isUsualUnsaid: true,
      }),
    ],
    optional: [
      ...(norms === 2 ? (["attn_norm_2", "attn_norm_2_bias"] as const) : []),
      ...(isParallel ? [] : (["ffn_norm", "ffn_norm_bias"] as const)),
      ...(config.bias === true ? BIASES : []),
      ...(config.tie_word_embeddings === false ? (["output"] as const) : []),
    ],
    remarks: [
      ...(isParallel ? [] : [t`feed-forwards see what attention has added; llama.cpp loads no such Falcon`]),
      ...(config.bias === true ? [t`llama.cpp loads no Falcon whose matrices have biases`] : []),
    ],
  };
}

/** A field that has another name in the first releases. */
function either(name: string, value: number | null | undefined): number {
  if (value != null) return value;
  throw badInput(t`config.json: ${name} is missing`);
}

/**
 * Published checkpoints have an output beside the embedding that is equal to it, files of transformers have none. As
 * llama.cpp's converter, llq writes what there is.
 */
export const falcon: Architecture = {
  name: "falcon",
  covers: ["Falcon 7B, 11B and 40B"],
  classes: ["FalconForCausalLM", "RWForCausalLM"],
  read: reader(schema, readFalcon),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "transformer.word_embeddings.weight"),
    ...norm("attn_norm", "embd", ["transformer.h.{i}.input_layernorm", "transformer.h.{i}.ln_mlp"], {
      bias: "always",
    }),
    ...norm("attn_norm_2", "embd", "transformer.h.{i}.ln_attn", { bias: "optional", optional: true }),
    ...linear("attn_qkv", ["qkv", "embd"], "transformer.h.{i}.self_attention.query_key_value", {
      part: grouped("q", "k", "v"),
      bias: "optional",
    }),
    ...linear("attn_output", ["embd", "attn"], "transformer.h.{i}.self_attention.dense", {
      bias: "optional",
    }),
    ...norm("ffn_norm", "embd", "transformer.h.{i}.post_attention_layernorm", {
      bias: "optional",
      optional: true,
    }),
    ...linear("ffn_up", ["ffn", "embd"], "transformer.h.{i}.mlp.dense_h_to_4h", { bias: "optional" }),
    ...linear("ffn_down", ["embd", "ffn"], "transformer.h.{i}.mlp.dense_4h_to_h", { bias: "optional" }),
    ...norm("output_norm", "embd", "transformer.ln_f", { bias: "always" }),
    tensor("output", ["vocab", "embd"], "lm_head.weight", { optional: true }),
  ],
  ignored: ["transformer.h.{i}.self_attention.rotary_emb.inv_freq"],
  decoder: (h) => ({
    norm: "layer",
    layers: allLayers(h, {
      mixer: attention({ rope: { pairs: "halves" } }),
      feedForward: { activation: "gelu_erf" },
      parallel: h.parallelResidual ?? true,
    }),
  }),
};
