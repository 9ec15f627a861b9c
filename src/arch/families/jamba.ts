import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, headDim, headsKv, layerCount, positive, reader } from "../config.js";
import { type HParams, hasAttention, hasExperts, isDense } from "../hparams.js";
import { experts, gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { attention, type MambaTraits, perLayer } from "../traits.js";
import { expertKeys, none, routerOf } from "./experts.js";
import { mambaBiases, mambaRows } from "./mamba.js";

// Layers of Mamba whose step, B and C are normed, and some with attention that knows no places; experts in every second.

const schema = v.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: layerCount,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count, 8),
  max_position_embeddings: v.nullish(count, 262144),
  rms_norm_eps: v.nullish(positive, 1e-6),
  hidden_act: v.nullish(v.string()),
  tie_word_embeddings: flag,
  attn_layer_period: v.nullish(count, 8),
  attn_layer_offset: v.nullish(none, 4),
  num_experts: v.nullish(count),
  num_local_experts: v.nullish(count),
  num_experts_per_tok: v.nullish(count, 2),
  expert_layer_period: v.nullish(count, 2),
  expert_layer_offset: v.nullish(none, 1),
  mamba_d_state: v.nullish(count, 16),
  mamba_d_conv: v.nullish(count, 4),
  mamba_expand: v.nullish(count, 2),
  mamba_dt_rank: v.nullish(v.union([count, v.literal("auto")]), "auto"),
  mamba_conv_bias: flag,
  mamba_proj_bias: flag,
});

type Config = v.InferOutput<typeof schema>;

/** For each layer, whether it is one of every so many. @throws LlqError `bad-input` for an offset beyond the period */
function every(config: Config, what: "attn" | "expert"): boolean[] {
  const [period, offset] = [config[`${what}_layer_period`], config[`${what}_layer_offset`]];
  if (offset < period)
    return perLayer({ blockCount: config.num_hidden_layers }, (i) => i % period === offset);
  throw badInput(t`config.json: ${what}_layer_offset ${offset} of every ${period} layers`);
}

function readJamba(config: Config): HfModel {
  expectField("hidden_act", config.hidden_act ?? "silu", "silu");
  headDim(config);
  const hidden = config.hidden_size;
  const has = every(config, "attn");
  const experts = config.num_experts ?? config.num_local_experts ?? 16;
  // One expert is an MLP, which needs no router.
  const sparse = every(config, "expert").map((each) => each && experts > 1);
  const rank = config.mamba_dt_rank === "auto" ? Math.ceil(hidden / 16) : config.mamba_dt_rank;
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    ...mambaBiases("Jamba", {
      projections: config.mamba_proj_bias ?? false,
      convolution: config.mamba_conv_bias ?? true,
    }),
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(config.max_position_embeddings)],
      ["embedding_length", meta.u32(hidden)],
      ["block_count", meta.u32(config.num_hidden_layers)],
      ["feed_forward_length", meta.u32(config.intermediate_size)],
      ["attention.head_count", meta.u32(config.num_attention_heads)],
      ["attention.head_count_kv", meta.i32s(has.map((each) => (each ? headsKv(config) : 0)))],
      ["attention.layer_norm_rms_epsilon", meta.f32(config.rms_norm_eps)],
      ["ssm.conv_kernel", meta.u32(config.mamba_d_conv)],
      ["ssm.inner_size", meta.u32(config.mamba_expand * hidden)],
      ["ssm.state_size", meta.u32(config.mamba_d_state)],
      ["ssm.time_step_rank", meta.u32(rank)],
      ...expertKeys({ count: experts, used: Math.min(config.num_experts_per_tok, experts) }),
      // llama.cpp looks for the tensors.
      ["expert_layers", meta.bools(sparse)],
    ],
  };
}

const LAYER = "model.layers.{i}";
const [MAMBA, MLP] = [`${LAYER}.mamba`, `${LAYER}.feed_forward`];
const own = { when: hasAttention };
const scan = { when: (h: HParams, layer: number | undefined) => !hasAttention(h, layer) };

const feedForward: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], `${MLP}.router.weight`, { when: hasExperts }),
  ...experts(
    `${MLP}.experts.{e}`,
    { gate: "gate_proj", down: "down_proj", up: "up_proj" },
    { when: hasExperts },
  ),
  ...gatedMlp(MLP, { when: isDense }),
];

const saysExperts = ({ expertLayers }: HParams) => expertLayers !== undefined;

export const jamba: Architecture = {
  name: "jamba",
  covers: ["Jamba"],
  year: 2025,
  classes: ["JambaForCausalLM"],
  read: reader(schema, readJamba),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...mambaRows(MAMBA, scan),
    ...norm("ssm_dt_norm", "timeStep", `${MAMBA}.dt_layernorm`, scan),
    ...norm("ssm_b_norm", "states", `${MAMBA}.b_layernorm`, scan),
    ...norm("ssm_c_norm", "states", `${MAMBA}.c_layernorm`, scan),
    ...separateQkv(`${LAYER}.self_attn`, { q: own, k: own, v: own }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, own),
    ...norm("ffn_norm", "embd", `${LAYER}.pre_ff_layernorm`),
    ...feedForward.map((row) => ({
      ...row,
      when: (h: HParams, layer: number | undefined) => saysExperts(h) && row.when!(h, layer),
    })),
    // A file of llama.cpp's has either in each layer, and does not say where.
    ...feedForward.map((row) => ({ ...row, optional: true as const, when: (h: HParams) => !saysExperts(h) })),
    ...norm("output_norm", "embd", "model.final_layernorm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const router = routerOf(h, { gating: "softmax", normalize: false });
    const scanning: MambaTraits = { kind: "mamba" };
    const attending = attention({});
    const layers = perLayer(h, (i) => ({
      mixer: hasAttention(h, i) ? attending : scanning,
      feedForward: { activation: "silu", router } as const,
    }));
    return { norm: "rms", layers };
  },
};
