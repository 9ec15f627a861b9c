import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers, type MambaTraits } from "../traits.js";

export const mambaSchema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: count,
  intermediate_size: count,
  state_size: count,
  conv_kernel: count,
  time_step_rank: count,
  layer_norm_epsilon: v.nullish(positive),
  use_bias: flag,
  use_conv_bias: flag,
  hidden_act: v.nullish(v.string()),
  tie_word_embeddings: flag,
});

/** No length is too long for it; llama.cpp's converter writes this one. */
const CONTEXT = 1 << 20;

export function readMamba(config: v.InferOutput<typeof mambaSchema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings !== false,
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(CONTEXT)],
      ["embedding_length", meta.u32(config.hidden_size)],
      ["feed_forward_length", meta.u32(0)],
      ["attention.head_count", meta.u32(0)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["ssm.conv_kernel", meta.u32(config.conv_kernel)],
      ["ssm.inner_size", meta.u32(config.intermediate_size)],
      ["ssm.state_size", meta.u32(config.state_size)],
      ["ssm.time_step_rank", meta.u32(config.time_step_rank)],
      ["attention.layer_norm_rms_epsilon", meta.f32(config.layer_norm_epsilon ?? 1e-5)],
      ["ssm.dt_b_c_rms", meta.bool(false)],
    ],
    ...mambaBiases("Mamba", {
      projections: config.use_bias ?? false,
      convolution: config.use_conv_bias ?? true,
    }),
  };
}

/** A block of Mamba; `source` is what comes before its tensors. */
export function mambaRows(source: string, when: Pick<TensorRow, "when"> = {}): TensorRow[] {
  return [
    ...linear("ssm_in", ["inner*2", "embd"], `${source}.in_proj`, { ...when, bias: "optional" }),
    ...linear("ssm_conv", ["inner", "conv"], `${source}.conv1d`, {
      ...when,
      bias: "optional",
      storedShape: ["inner", "one", "conv"],
    }),
    ...linear("ssm_x", ["ssmX", "inner"], `${source}.x_proj`, when),
    ...linear("ssm_dt", ["inner", "timeStep"], `${source}.dt_proj`, { ...when, bias: "always" }),
    tensor("ssm_a", ["inner", "states"], `${source}.A_log`, { ...when, steps: [{ kind: "negExp" }] }, ""),
    tensor("ssm_d", ["inner"], `${source}.D`, when, ""),
    ...linear("ssm_out", ["embd", "inner"], `${source}.out_proj`, { ...when, bias: "optional" }),
  ];
}

/** Which of its projections and of its convolution have biases, and what llama.cpp says to that. */
export function mambaBiases(
  name: string,
  { projections, convolution }: { readonly projections: boolean; readonly convolution: boolean },
): Pick<HfModel, "optional" | "remarks"> {
  return {
    optional: [
      ...(projections ? (["ssm_in_bias", "ssm_out_bias"] as const) : []),
      ...(convolution ? (["ssm_conv_bias"] as const) : []),
    ],
    remarks: [
      ...(projections ? [t`llama.cpp loads no ${name} whose projections have biases`] : []),
      ...(convolution ? [] : [t`llama.cpp loads no ${name} whose convolution has no bias`]),
    ],
  };
}

const mixer = ({ ssm: { stepEpsilon } }: HParams): MambaTraits => ({ kind: "mamba", stepEpsilon });

export const mamba: Architecture = {
  name: "mamba",
  covers: ["Mamba"],
  classes: ["MambaForCausalLM"],
  read: reader(mambaSchema, readMamba),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], ["backbone.embeddings.weight", "backbone.embedding.weight"]),
    ...norm("attn_norm", "embd", "backbone.layers.{i}.norm"),
    ...mambaRows("backbone.layers.{i}.mixer"),
    ...norm("output_norm", "embd", "backbone.norm_f"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({ norm: "rms", layers: allLayers(h, { mixer: mixer(h) }) }),
};
