import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, layerTypes, positive, reader } from "../config.js";
import { type HParams, hasAttention, isDense } from "../hparams.js";
import { linear, norm, selectionBias, separateQkv, tensor } from "../rows.js";
import { attention, type LayerTraits, perLayer } from "../traits.js";
import { expertFields, expertKeys, hasSharedExperts, readExpertFields, routerOf } from "./experts.js";
import { permuteK, permuteQ } from "./llama.js";
import { ENDLESS, mamba2Keys, mamba2Rows } from "./mamba2.js";

// Layers of one thing each, behind one norm: Mamba-2, attention that knows no places, or a feed-forward without a gate.

const schema = v.looseObject({
  ...expertFields,
  vocab_size: count,
  hidden_size: count,
  num_attention_heads: count,
  num_key_value_heads: v.nullish(count, 8),
  head_dim: v.nullish(count),
  attention_head_dim: v.nullish(count),
  intermediate_size: v.nullish(count, 21504),
  num_hidden_layers: v.nullish(count),
  hybrid_override_pattern: v.nullish(v.string()),
  layers_block_type: layerTypes,
  layer_types: layerTypes,
  mamba_num_heads: v.nullish(count, 128),
  mamba_head_dim: v.nullish(count, 64),
  ssm_state_size: v.nullish(count, 128),
  n_groups: v.nullish(count, 8),
  conv_kernel: v.nullish(count, 4),
  layer_norm_epsilon: v.nullish(positive, 1e-5),
  time_step_min: v.nullish(positive, 0.001),
  use_bias: flag,
  use_conv_bias: flag,
  mamba_proj_bias: flag,
  attention_bias: flag,
  mlp_bias: flag,
  mlp_hidden_act: v.nullish(v.string()),
  mamba_hidden_act: v.nullish(v.string()),
  sliding_window: v.nullish(count),
  tie_word_embeddings: flag,
  moe_intermediate_size: v.nullish(count, 7688),
  num_experts_per_tok: v.nullish(count, 2),
  moe_shared_expert_intermediate_size: v.nullish(count, 7688),
  moe_latent_size: v.nullish(count),
});

type Config = v.InferOutput<typeof schema>;
type Kind = "mamba" | "attention" | "mlp" | "moe";

const LETTERS: Readonly<Record<string, Kind>> = { M: "mamba", "*": "attention", "-": "mlp", E: "moe" };
const WORDS: Readonly<Record<string, Kind>> = {
  ...{ mamba: "mamba", linear_attention: "mamba", attention: "attention", full_attention: "attention" },
  ...{ mlp: "mlp", moe: "moe" },
};

/** What each layer is. @throws LlqError `bad-input` where nothing says, `unsupported` for an unknown kind */
function kindsOf(
  config: Pick<Config, "layers_block_type" | "layer_types" | "hybrid_override_pattern">,
): Kind[] {
  const { layers_block_type, layer_types, hybrid_override_pattern: pattern } = config;
  const said = layers_block_type ?? layer_types;
  if (said == null && pattern == null) throw badInput(t`config.json: layers_block_type is missing`);
  const [names, known] = said == null ? [[...pattern!], LETTERS] : [said, WORDS];
  for (const name of names) expectField("layers_block_type", name, ...Object.keys(known));
  return names.map((name) => known[name]!);
}

function readNemotronH(config: Config): HfModel {
  for (const name of ["use_bias", "mamba_proj_bias", "attention_bias", "mlp_bias"] as const) {
    expectField(name, config[name] ?? false, false);
  }
  expectField("mlp_hidden_act", config.mlp_hidden_act ?? "relu2", "relu2");
  expectField("mamba_hidden_act", config.mamba_hidden_act ?? "silu", "silu");
  expectField("sliding_window", config.sliding_window ?? null, null);
  const kinds = kindsOf(config);
  const hasExperts = kinds.includes("moe");
  // A GGUF file says of layers whether they have a feed-forward, not of which kind.
  if (hasExperts)
    for (const kind of kinds) expectField("layers_block_type", kind, "mamba", "attention", "moe");
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const width = config.head_dim ?? config.attention_head_dim ?? 128;
  const ffn = hasExperts ? config.moe_intermediate_size : config.intermediate_size;
  const each = (number: number, ...of: Kind[]) =>
    meta.i32s(kinds.map((kind) => (of.includes(kind) ? number : 0)));
  return {
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings === true,
    optional: config.use_conv_bias === false ? [] : ["ssm_conv_bias"],
    remarks: [t`llama.cpp lets steps of Mamba-2 be less than time_step_min ${config.time_step_min}`],
    keys: [
      ["vocab_size", meta.u32(config.vocab_size)],
      ["context_length", meta.u32(ENDLESS)],
      ["embedding_length", meta.u32(hidden)],
      ["block_count", meta.u32(kinds.length)],
      ["feed_forward_length", each(ffn, "mlp", "moe")],
      ["attention.head_count", meta.u32(heads)],
      ["attention.head_count_kv", each(config.num_key_value_heads, "attention")],
      ["attention.key_length", meta.u32(width)],
      ["attention.value_length", meta.u32(width)],
      ["attention.layer_norm_epsilon", meta.f32(config.layer_norm_epsilon)],
      ["rope.dimension_count", meta.u32(Math.floor(hidden / heads))],
      ["rope.scaling.finetuned", meta.bool(false)],
      ...mamba2Keys({
        heads: config.mamba_num_heads,
        width: config.mamba_head_dim,
        groups: config.n_groups,
        states: config.ssm_state_size,
        kernel: config.conv_kernel,
      }),
      ["ssm.time_step_min", meta.f32(config.time_step_min)],
      ...(hasExperts ? mixtureKeys(config) : []),
    ],
  };
}

function mixtureKeys(config: Config): HfModel["keys"] {
  const mixture = readExpertFields(config, { gating: "sigmoid", normalize: true });
  const keys = expertKeys({
    ...mixture,
    // Its name says so, and llama.cpp's converter writes none.
    gating: undefined,
    sharedCount: mixture.sharedCount ?? 1,
    sharedFeedForwardLength: config.moe_shared_expert_intermediate_size,
    scale: mixture.scale ?? 1,
    groupCount: mixture.groupCount ?? 1,
    groupsUsed: mixture.groupsUsed ?? 1,
  });
  const { moe_latent_size: latent } = config;
  return latent == null ? keys : [...keys, ["moe_latent_size", meta.u32(latent)]];
}

const feeds = (h: HParams, layer: number | undefined) => h.layers[layer!]!.feedForwardLength > 0;
const hasScan = (h: HParams, layer: number | undefined) => !hasAttention(h, layer) && !feeds(h, layer);

const LAYER = "backbone.layers.{i}";
const MIXER = `${LAYER}.mixer`;
const own = { when: hasAttention } as const;
const dense = { when: (h: HParams, layer: number | undefined) => feeds(h, layer) && isDense(h, layer) };
const sparse = { when: feeds } as const;
const narrow = {
  when: (h: HParams, layer: number | undefined) => feeds(h, layer) && h.expertLatentLength > 0,
};
const shared = {
  when: (h: HParams, layer: number | undefined) => feeds(h, layer) && hasSharedExperts(h, layer),
};

const before: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], ["backbone.embeddings.weight", "backbone.embedding.weight"]),
  ...norm("attn_norm", "embd", `${LAYER}.norm`),
  ...mamba2Rows(MIXER, { when: hasScan }),
  // Pairs as for RoPE, though there is none: so llama.cpp's converter has them.
  ...separateQkv(MIXER, {
    q: { ...own, transform: permuteQ },
    k: { ...own, transform: permuteK },
    v: own,
  }),
  ...linear("attn_output", ["embd", "attn"], `${MIXER}.o_proj`, own),
];

const after: readonly TensorRow[] = [
  ...norm("output_norm", "embd", "backbone.norm_f"),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];

const CORRECTION = `${MIXER}.gate.e_score_correction`;

const mixture: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], `${MIXER}.gate.weight`, sparse),
  selectionBias([`${CORRECTION}_bias`, `${CORRECTION}.bias`], sparse),
  ...linear("ffn_latent_down", ["expertEmbd", "embd"], `${MIXER}.fc1_latent_proj`, narrow),
  ...linear("ffn_latent_up", ["embd", "expertEmbd"], `${MIXER}.fc2_latent_proj`, narrow),
  tensor(
    "ffn_up_exps",
    ["experts", "expertFfn", "expertEmbd"],
    `${MIXER}.experts.{e}.up_proj.weight`,
    sparse,
  ),
  tensor(
    "ffn_down_exps",
    ["experts", "expertEmbd", "expertFfn"],
    `${MIXER}.experts.{e}.down_proj.weight`,
    sparse,
  ),
  ...linear("ffn_up_shexp", ["sharedFfn", "embd"], `${MIXER}.shared_experts.up_proj`, shared),
  ...linear("ffn_down_shexp", ["embd", "sharedFfn"], `${MIXER}.shared_experts.down_proj`, shared),
];

const decoder: Architecture["decoder"] = (h) => {
  const router = routerOf(h, { gating: "sigmoid", normalize: true });
  // In parallel with nothing, a feed-forward takes the one norm that there is.
  const feedForward: LayerTraits = {
    mixer: { kind: "none" },
    feedForward: { activation: "relu_squared", router },
    parallel: true,
  };
  const plain: LayerTraits = { mixer: attention({}) };
  const scan: LayerTraits = { mixer: { kind: "mamba2" } };
  const layers = perLayer(h, (i) => (feeds(h, i) ? feedForward : hasAttention(h, i) ? plain : scan));
  return { norm: "rms", layers };
};

const layerFields = v.looseObject({
  layers_block_type: schema.entries.layers_block_type,
  layer_types: schema.entries.layer_types,
  hybrid_override_pattern: schema.entries.hybrid_override_pattern,
});

/** What is no list of layers is said when the whole is read. */
function isMixture(config: Readonly<Record<string, unknown>>): boolean {
  const { success, output } = v.safeParse(layerFields, config);
  return success && kindsOf(output).includes("moe");
}

const common = {
  classes: ["NemotronHForCausalLM"],
  read: reader(schema, readNemotronH),
  ignored: [],
  decoder,
};

export const nemotronH: Architecture = {
  ...common,
  name: "nemotron_h",
  covers: ["Nemotron-H and Nemotron Nano 2"],
  year: 2025,
  accepts: (config) => !isMixture(config),
  tensors: [
    ...before,
    ...linear("ffn_up", ["ffn", "embd"], `${MIXER}.up_proj`, dense),
    ...linear("ffn_down", ["embd", "ffn"], `${MIXER}.down_proj`, dense),
    ...after,
  ],
};

export const nemotronHMoe: Architecture = {
  ...common,
  name: "nemotron_h_moe",
  covers: ["Nemotron 3 Nano and Super"],
  year: 2026,
  accepts: isMixture,
  tensors: [...before, ...mixture, ...after],
};
