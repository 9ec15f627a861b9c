import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { expectField, headsKv, layerTypes, reader } from "../config.js";
import { partOf } from "../fused.js";
import { type HParams, hasAttention, isDense } from "../hparams.js";
import { linear, norm, separateQkv, tensor } from "../rows.js";
import { attention } from "../traits.js";
import { none, routerOf } from "./experts.js";
import { graniteSchema, readGranite, scaledKind } from "./granite.js";
import { graniteExpertKeys, graniteMoe } from "./granitemoe.js";
import { permuteK, permuteQ } from "./llama.js";
import { ENDLESS, limitKeys, mamba2Biases, mamba2FieldKeys, mamba2Fields, mamba2Rows } from "./mamba2.js";

// Granite 4: layers of Mamba-2, and some with attention that knows no places; experts, or an MLP that is called shared.

const schema = v.looseObject({
  ...graniteSchema.entries,
  num_local_experts: v.nullish(none, 8),
  num_experts_per_tok: v.nullish(none, 2),
  shared_intermediate_size: v.nullish(none, 1024),
  position_embedding_type: v.nullish(v.string()),
  layer_types: layerTypes,
  layers_block_type: layerTypes,
  ...mamba2Fields,
});

type Config = v.InferOutput<typeof schema>;

const ATTENTION: readonly unknown[] = ["attention", "full_attention"];

/** Which layers have attention. @throws LlqError `bad-input`, `unsupported` for a list that does not fit */
function attentionLayers(config: Config): boolean[] {
  const { num_hidden_layers: layers } = config;
  const types = config.layer_types ?? config.layers_block_type ?? Array<string>(layers).fill("mamba");
  if (types.length !== layers) {
    throw badInput(t`config.json: layer_types has ${types.length} entries for ${layers} layers`);
  }
  for (const type of types) {
    expectField("layer_types", type, "mamba", "linear_attention", "attention", "full_attention");
  }
  return types.map((type) => ATTENTION.includes(type));
}

function readHybrid(config: Config): HfModel {
  expectField("attention_bias", config.attention_bias ?? false, false);
  const limits = limitKeys(config.time_step_limit);
  const biases = mamba2Biases(config.mamba_proj_bias, config.mamba_conv_bias);
  const has = attentionLayers(config);
  // llama.cpp has RoPE where all layers have attention, and only there.
  const position = config.position_embedding_type ?? null;
  expectField("position_embedding_type", position === "nope" ? null : position, null);
  const scan = mamba2FieldKeys(config);
  const model = readGranite(config);
  const kv = meta.i32s(has.map((each) => (each ? headsKv(config) : 0)));
  const dense = config.num_local_experts === 0;
  const changed = new Map([
    ...model.keys,
    ["context_length", meta.u32(ENDLESS)],
    ["attention.head_count_kv", kv],
    ["feed_forward_length", meta.u32(dense ? config.shared_intermediate_size : config.intermediate_size)],
  ]);
  for (const key of ["key", "value"]) if (config.head_dim == null) changed.delete(`attention.${key}_length`);
  return {
    ...model,
    optional: [...(model.optional ?? []), ...(biases.optional ?? [])],
    remarks: [...(model.remarks ?? []), ...(biases.remarks ?? []), ...(limits.remarks ?? [])],
    keys: [
      ...changed,
      ...graniteExpertKeys({ ...config, ...(dense && { num_experts_per_tok: 0 }) }),
      ...scan,
      ["rope.scaling.finetuned", meta.bool(false)],
      ...limits.keys,
    ],
  };
}

export const hasScan = (h: HParams, layer: number | undefined) => !hasAttention(h, layer);

const LAYER = "model.layers.{i}";
const own = { when: hasAttention } as const;
const biased = { when: isDense, bias: "optional" } as const;
const SHARED = `${LAYER}.shared_mlp`;
const halfOf = (index: 0 | 1) => ({ ...biased, part: partOf(["ffn", "ffn"], index) });

export const dense: readonly TensorRow[] = [
  ...linear("ffn_gate", ["ffn", "embd"], `${SHARED}.input_linear`, halfOf(0)),
  ...linear("ffn_up", ["ffn", "embd"], `${SHARED}.input_linear`, halfOf(1)),
  ...linear("ffn_down", ["embd", "ffn"], `${SHARED}.output_linear`, biased),
];

export const graniteHybrid: Architecture = {
  name: "granitehybrid",
  covers: ["Granite 4"],
  year: 2025,
  classes: ["GraniteMoeHybridForCausalLM"],
  accepts: (config) => !isAttentionOnly(config),
  read: reader(schema, readHybrid),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", `${LAYER}.input_layernorm`),
    ...mamba2Rows(`${LAYER}.mamba`, { when: hasScan }),
    ...separateQkv(`${LAYER}.self_attn`, {
      ...{ q: { ...own, transform: permuteQ }, k: { ...own, transform: permuteK }, v: own },
      bias: "optional",
    }),
    ...linear("attn_output", ["embd", "attn"], `${LAYER}.self_attn.o_proj`, { ...own, bias: "optional" }),
    ...norm("ffn_norm", "embd", `${LAYER}.post_attention_layernorm`),
    ...graniteMoe.tensors.filter(({ role }) => /^ffn_.*exps?$|^router/.test(role)),
    ...dense,
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => {
    const usual = scaledKind(h, "neighbours", routerOf(h, { gating: "softmax", normalize: true }));
    const { attentionScale: scale } = h;
    // Files of llama.cpp say so whether there is RoPE.
    const rope = h.ropeFinetuned === false ? undefined : ({ pairs: "neighbours" } as const);
    const plain = attention({ rope, ...(scale !== undefined && { scale }) });
    const layers = usual.layers.map((layer, i) => ({
      ...layer,
      mixer: hasAttention(h, i) ? plain : { kind: "mamba2" },
    }));
    return { ...usual, layers };
  },
};

/** A model of this class that has attention in all layers is written as one of another. */
export function isAttentionOnly({
  layer_types,
  layers_block_type,
}: Readonly<Record<string, unknown>>): boolean {
  const types = layer_types ?? layers_block_type;
  return Array.isArray(types) && types.every((type) => ATTENTION.includes(type));
}
