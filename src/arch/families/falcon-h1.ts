import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Role } from "../../role.js";
import type { ValueStep } from "../../tensor.js";
import type { Architecture, HfModel } from "../architecture.js";
import { count, expectField, flag, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { gatedMlp, linear, norm, separateQkv, tensor } from "../rows.js";
import { allLayers, attention, type Mamba2Traits, type SideBySideTraits } from "../traits.js";
import { llamaSchema, readLlama } from "./llama.js";
import { limitKeys, mamba2Keys, mamba2Rows, stepLimits } from "./mamba2.js";

// Attention and Mamba-2 side by side in every layer, and multipliers (muP) that GGUF has in the weights.

const number = v.pipe(v.number(), v.finite());
const multiplier = v.nullish(number, 1);

const schema = v.looseObject({
  ...llamaSchema.entries,
  mamba_d_ssm: v.nullish(count),
  mamba_n_heads: v.nullish(count, 128),
  mamba_d_head: v.nullish(v.union([count, v.literal("auto")])),
  mamba_n_groups: v.nullish(count, 1),
  mamba_d_state: v.nullish(count, 256),
  mamba_d_conv: v.nullish(count, 4),
  mamba_expand: v.nullish(count, 2),
  mamba_conv_bias: flag,
  mamba_proj_bias: flag,
  mamba_rms_norm: flag,
  mamba_norm_before_gate: flag,
  projectors_bias: flag,
  time_step_limit: stepLimits,
  embedding_multiplier: multiplier,
  lm_head_multiplier: multiplier,
  key_multiplier: multiplier,
  attention_in_multiplier: multiplier,
  attention_out_multiplier: multiplier,
  ssm_in_multiplier: multiplier,
  ssm_out_multiplier: multiplier,
  mlp_multipliers: v.nullish(v.pipe(v.array(number), v.length(2)), [1, 1]),
  ssm_multipliers: v.nullish(v.pipe(v.array(number), v.length(5)), [1, 1, 1, 1, 1]),
});

type Config = v.InferOutput<typeof schema>;

/** Channels of Mamba-2. @throws LlqError `bad-input` for heads that do not make them up */
function innerSize(config: Config): number {
  const { mamba_n_heads: heads, mamba_d_head: said = "auto" } = config;
  const inner = config.mamba_d_ssm ?? config.mamba_expand * config.hidden_size;
  if (inner % heads === 0 && (said === "auto" || said === null || said * heads === inner)) return inner;
  throw badInput(t`config.json: ${heads} heads of ${said} are not mamba_d_ssm = ${inner}`);
}

/** The multipliers as steps, in the order in which llama.cpp's converter multiplies. */
function stepsOf(config: Config, inner: number): ReadonlyMap<Role, readonly ValueStep[]> {
  const { attention_in_multiplier: attentionIn, attention_out_multiplier: attentionOut } = config;
  const { key_multiplier: key, embedding_multiplier: embedding, ssm_in_multiplier: ssmIn } = config;
  const [gate, down] = config.mlp_multipliers as [number, number];
  const fed = config.mamba_n_groups * config.mamba_d_state;
  const counts = [inner, inner, fed, fed, config.mamba_n_heads];
  const runs = counts.map((rows, i) => ({ count: rows, by: config.ssm_multipliers[i]! }));
  // A tied output that is another than the embedding all the same: see logit_scale.
  const head = config.tie_word_embeddings === true ? embedding : config.lm_head_multiplier;
  const scaled: [Role, number[]][] = [
    ["token_embd", [embedding]],
    ["output", [head]],
    ["attn_q", [attentionIn]],
    ["attn_k", [key, attentionIn]],
    ["attn_k_bias", [key]],
    ["attn_v", [attentionIn]],
    ["attn_output", [attentionOut]],
    ["attn_output_bias", [attentionOut]],
    ["ssm_in", [ssmIn]],
    ["ssm_out", [config.ssm_out_multiplier]],
    ["ffn_gate", [gate]],
    ["ffn_gate_bias", [gate]],
    ["ffn_down", [down]],
    ["ffn_down_bias", [down]],
  ];
  const steps = scaled.map(([role, by]): [Role, ValueStep[]] => [
    role,
    by.every((each) => each === 1) ? [] : [{ kind: "scale", by }],
  ]);
  const byRows = new Map(steps);
  if (runs.some(({ by }) => by !== 1)) byRows.get("ssm_in")!.push({ kind: "scaleRows", runs });
  return byRows;
}

function readFalconH1(config: Config): HfModel {
  for (const name of ["mamba_proj_bias", "projectors_bias"] as const) {
    expectField(name, config[name] ?? false, false);
  }
  const limits = limitKeys(config.time_step_limit);
  const [inner, model] = [innerSize(config), readLlama(config)];
  const heads = config.mamba_n_heads;
  const isNormed = config.mamba_rms_norm === true;
  const normsFirst = isNormed && config.mamba_norm_before_gate !== false;
  const { embedding_multiplier: embedding, lm_head_multiplier: head } = config;
  const headDiffers = model.tied && embedding !== head;
  return {
    ...model,
    keys: [
      ...model.keys,
      ...mamba2Keys({
        ...{ heads, width: inner / heads, groups: config.mamba_n_groups },
        ...{ states: config.mamba_d_state, kernel: config.mamba_d_conv },
      }),
      ...limits.keys,
      ...(normsFirst ? [["ssm.norm_before_gate", meta.bool(true)] as const] : []),
      // The embedding has its own multiplier in it, where it is the output, too.
      ...(headDiffers ? [["logit_scale", meta.f32(head / embedding)] as const] : []),
    ],
    optional: [
      ...(model.optional ?? []),
      ...(config.mamba_conv_bias === false ? [] : (["ssm_conv_bias"] as const)),
      ...(isNormed ? (["ssm_norm"] as const) : []),
    ],
    steps: stepsOf(config, inner),
    remarks: [
      ...(limits.remarks ?? []),
      ...(normsFirst
        ? [t`llama.cpp gates what Mamba-2 gives before it norms it, where the model does so after`]
        : []),
      ...(headDiffers
        ? [
            t`llama.cpp multiplies logits by embedding_multiplier ${embedding}, not by lm_head_multiplier ${head}`,
          ]
        : []),
      ...(config.attention_bias === true ? [t`llama.cpp leaves out the bias of attention's output`] : []),
    ],
  };
}

const LAYER = "model.layers.{i}";

const mixer = ({ ssm: { normsBeforeGate } }: HParams): SideBySideTraits => {
  const scan: Mamba2Traits = { kind: "mamba2", normsBeforeGate };
  return { kind: "side-by-side", mixers: [attention({ rope: { pairs: "halves" } }), scan] };
};

export const falconH1: Architecture = {
  name: "falcon-h1",
  covers: ["Falcon-H1"],
  year: 2025,
  classes: ["FalconH1ForCausalLM"],
  read: reader(schema, readFalconH1),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...mamba2Rows(`${LAYER}.mamba`, {}, "optional"),
    ...separateQkv(`${LAYER}.self_attn`, { bias: "optional" }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { bias: "optional" }),
    // So llama.cpp's converter calls it, without what names of weights end in.
    { ...tensor("ffn_norm", ["embd"], `${LAYER}.pre_ff_layernorm.weight`), name: "blk.{i}.ffn_norm" },
    ...gatedMlp(`${LAYER}.feed_forward`, { bias: "optional" }),
    ...norm("output_norm", "embd", "model.final_layernorm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  multipliedByMlx: true,
  decoder: (h) => ({
    norm: "rms",
    logitScale: h.logitScale,
    layers: allLayers(h, { mixer: mixer(h), feedForward: { activation: "silu" } }),
  }),
};
