import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, positive, reader } from "../config.js";
import { linear, norm, tensor } from "../rows.js";
import { allLayers } from "../traits.js";

/** What a config.json says of Mamba-2's heads. */
export interface Mamba2Numbers {
  readonly heads: number;
  readonly width: number;
  readonly groups: number;
  readonly states: number;
  readonly kernel: number;
}

/** @throws LlqError `bad-input` for heads that do not make up the channels, or groups that do not the heads */
export function mamba2Keys({ heads, width, groups, states, kernel }: Mamba2Numbers): HfModel["keys"] {
  if (heads % groups !== 0) throw badInput(t`config.json: ${heads} heads of Mamba-2 in ${groups} groups`);
  return [
    ["ssm.conv_kernel", meta.u32(kernel)],
    ["ssm.state_size", meta.u32(states)],
    ["ssm.group_count", meta.u32(groups)],
    ["ssm.inner_size", meta.u32(heads * width)],
    ["ssm.time_step_rank", meta.u32(heads)],
  ];
}

/** transformers writes numbers that JSON lacks as an object. */
const limit = v.union([v.number(), v.looseObject({ __float__: v.string() })]);

/** Steps stay between these two. */
export const stepLimits = v.nullish(v.array(limit));

/** The fields of a config.json as Bamba's class has them, and Granite 4's after it. */
export const mamba2Fields = {
  mamba_n_heads: v.nullish(count, 128),
  mamba_n_groups: v.nullish(count, 1),
  mamba_d_state: v.nullish(count, 256),
  mamba_d_head: v.nullish(v.union([count, v.literal("auto")])),
  mamba_d_conv: v.nullish(count, 4),
  mamba_expand: v.nullish(count, 2),
  mamba_conv_bias: flag,
  mamba_proj_bias: flag,
  time_step_limit: stepLimits,
};
type Mamba2Config = v.InferOutput<v.LooseObjectSchema<typeof mamba2Fields, undefined>>;

/** Keys of what those say. @throws LlqError `bad-input` for heads that do not make up the channels, and as mamba2Keys */
export function mamba2FieldKeys(config: Mamba2Config & { readonly hidden_size: number }): HfModel["keys"] {
  const { mamba_n_heads: heads } = config;
  const said = config.mamba_d_head ?? "auto";
  const inner = config.mamba_expand * config.hidden_size;
  const width = inner / heads;
  if (!Number.isInteger(width) || (said !== "auto" && said !== width)) {
    throw badInput(t`config.json: ${heads} heads of ${said} are not mamba_expand × hidden_size = ${inner}`);
  }
  return mamba2Keys({
    ...{ heads, width, groups: config.mamba_n_groups },
    ...{ states: config.mamba_d_state, kernel: config.mamba_d_conv },
  });
}

/** What there is to say of the limits. @throws LlqError `bad-input` for what is no limits */
export function limitKeys(limits: v.InferOutput<typeof stepLimits>): Pick<HfModel, "keys" | "remarks"> {
  const [least, most] = [limits?.[0] ?? 0, limits?.[1] ?? Number.POSITIVE_INFINITY].map((each) =>
    Number(typeof each === "object" ? each.__float__ : each),
  ) as [number, number];
  if (!(least >= 0 && most > least && least < Number.POSITIVE_INFINITY)) {
    throw badInput(t`config.json: time_step_limit from ${least} to ${most}`);
  }
  return {
    keys: [
      ...(least > 0 ? [["ssm.time_step_min", meta.f32(least)] as const] : []),
      ...(most < Number.POSITIVE_INFINITY ? [["ssm.time_step_max", meta.f32(most)] as const] : []),
    ],
    remarks:
      least > 0 || most < Number.POSITIVE_INFINITY
        ? [t`llama.cpp does not keep steps of Mamba-2 between ${least} and ${most}, as the model does`]
        : [],
  };
}

/** Which biases a block of Mamba-2 has, and what llama.cpp says to that. */
export function mamba2Biases(
  projections: boolean | null | undefined,
  convolution: boolean | null | undefined,
): Pick<HfModel, "optional" | "remarks"> {
  return {
    optional: [
      ...(projections === true ? (["ssm_in_bias", "ssm_out_bias"] as const) : []),
      ...(convolution === false ? [] : (["ssm_conv_bias"] as const)),
    ],
    remarks: projections === true ? [t`llama.cpp loads no Mamba-2 whose projections have biases`] : [],
  };
}

type When = Pick<TensorRow, "when">;

/** A block of Mamba-2; `source` is what comes before its tensors. Its norm is in all, or in those whose config says so. */
export function mamba2Rows(
  source: string,
  when: When = {},
  normed: "always" | "optional" = "always",
): TensorRow[] {
  return [
    ...linear("ssm_in", ["mamba2In", "embd"], `${source}.in_proj`, { ...when, bias: "optional" }),
    ...linear("ssm_conv", ["mamba2Conv", "conv"], `${source}.conv1d`, {
      ...when,
      bias: "optional",
      storedShape: ["mamba2Conv", "one", "conv"],
    }),
    { ...tensor("ssm_dt_bias", ["timeStep"], `${source}.dt_bias`, when), name: "blk.{i}.ssm_dt.bias" },
    tensor(
      "ssm_a",
      ["timeStep", "one"],
      `${source}.A_log`,
      { ...when, storedShape: ["timeStep"], steps: [{ kind: "negExp" }] },
      "",
    ),
    tensor("ssm_d", ["timeStep", "one"], `${source}.D`, { ...when, storedShape: ["timeStep"] }, ""),
    tensor("ssm_norm", ["groups", "groupInner"], `${source}.norm.weight`, {
      ...when,
      storedShape: ["inner"],
      ...(normed === "optional" && { optional: true }),
    }),
    ...linear("ssm_out", ["embd", "inner"], `${source}.out_proj`, { ...when, bias: "optional" }),
  ];
}

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: v.optional(count),
  d_model: v.optional(count),
  num_hidden_layers: v.optional(count),
  n_layer: v.optional(count),
  expand: v.nullish(count, 2),
  num_heads: v.optional(count),
  head_dim: v.nullish(count, 64),
  n_groups: v.optional(count),
  state_size: v.nullish(count, 128),
  conv_kernel: v.nullish(count, 4),
  layer_norm_epsilon: v.nullish(positive),
  rms_norm_eps: v.nullish(positive),
  use_bias: flag,
  use_conv_bias: flag,
  hidden_act: v.nullish(v.string()),
  tie_word_embeddings: flag,
  time_step_limit: stepLimits,
});

/** No length is too long for it; llama.cpp's converter writes this one. */
export const ENDLESS = 1 << 20;

function readMamba2(config: v.InferOutput<typeof schema>): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  const limits = limitKeys(config.time_step_limit);
  const biases = mamba2Biases(config.use_bias, config.use_conv_bias);
  const hidden = config.hidden_size ?? config.d_model;
  const layers = config.num_hidden_layers ?? config.n_layer;
  if (hidden === undefined) throw badInput(t`config.json: hidden_size is missing`);
  if (layers === undefined) throw badInput(t`config.json: num_hidden_layers is missing`);
  const inner = config.expand * hidden;
  const heads = config.num_heads ?? inner / config.head_dim;
  if (heads * config.head_dim !== inner) {
    throw badInput(
      t`config.json: ${heads} heads of ${config.head_dim} are not expand × hidden_size = ${inner}`,
    );
  }
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    ...biases,
    remarks: [...(biases.remarks ?? []), ...(limits.remarks ?? [])],
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(ENDLESS)],
      ["embedding_length", meta.u32(hidden)],
      ["feed_forward_length", meta.u32(0)],
      ["attention.head_count", meta.u32(0)],
      ["block_count", meta.u32(layers)],
      ...mamba2Keys({
        heads,
        width: config.head_dim,
        groups: config.n_groups ?? 8,
        states: config.state_size,
        kernel: config.conv_kernel,
      }),
      [
        "attention.layer_norm_rms_epsilon",
        meta.f32(config.layer_norm_epsilon ?? config.rms_norm_eps ?? 1e-5),
      ],
      ...limits.keys,
    ],
  };
}

export const mamba2: Architecture = {
  name: "mamba2",
  covers: ["Mamba-2"],
  classes: ["Mamba2ForCausalLM"],
  read: reader(schema, readMamba2),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "backbone.embeddings.weight"),
    ...norm("attn_norm", "embd", "backbone.layers.{i}.norm"),
    ...mamba2Rows("backbone.layers.{i}.mixer"),
    ...norm("output_norm", "embd", "backbone.norm_f"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({ norm: "rms", layers: allLayers(h, { mixer: { kind: "mamba2" } }) }),
};
