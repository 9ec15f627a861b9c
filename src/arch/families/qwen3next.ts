import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, Part } from "../architecture.js";
import { count, flag, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { linear, tensor } from "../rows.js";
import {
  deltaFields,
  deltaLayers,
  deltaNet,
  ffnNorm,
  gatedAttention,
  isRecurrent,
  norm,
  readDelta,
  type ValueOrder,
} from "./qwen-delta.js";
import { gatedSharedExpert, moe, readMixture } from "./qwen-moe.js";

const schema = v.looseObject({
  ...deltaFields,
  num_experts: v.nullish(count, 512),
  num_experts_per_tok: v.nullish(count, 10),
  moe_intermediate_size: v.nullish(count, 512),
  shared_expert_intermediate_size: v.nullish(count, 512),
  norm_topk_prob: flag,
  decoder_sparse_step: v.nullish(count),
  mlp_only_layers: v.nullish(v.array(v.number())),
});

/** Value heads stay where they are: those of a key head side by side. */
const order: ValueOrder = {
  heads: ({ ssm }) => whole(ssm.timeStepRank),
  channels: (h) => whole(2 * h.ssm.groupCount * h.ssm.stateSize + h.ssm.innerSize),
  columns: [],
};

function whole(rows: number): Part {
  return { rows, ranges: [{ first: 0, count: rows }] };
}

/** Of a matrix that has, by key heads, its query, its key, the values and the gates of its value heads. */
function grouped(...parts: readonly ("q" | "k" | "v" | "z")[]): (h: HParams) => Part {
  return ({ ssm: { groupCount, stateSize, innerSize } }) => {
    const values = innerSize / groupCount;
    const group = 2 * (stateSize + values);
    const place = {
      q: [0, stateSize],
      k: [stateSize, stateSize],
      v: [2 * stateSize, values],
      z: [2 * stateSize + values, values],
    } as const;
    const ranges = parts.flatMap((part) => {
      const [first, count] = place[part];
      return Array.from({ length: groupCount }, (_, i) => ({ first: i * group + first, count }));
    });
    return { rows: groupCount * group, ranges };
  };
}

const source = "model.layers.{i}.linear_attn";
const qkvz = `${source}.in_proj_qkvz`;
const when = isRecurrent;

export const qwen3next: Architecture = {
  name: "qwen3next",
  covers: ["Qwen3-Next"],
  year: 2025,
  classes: ["Qwen3NextForCausalLM"],
  read: reader(schema, (config) => {
    const model = readDelta(config);
    const mixture = readMixture(config, config.norm_topk_prob ?? true, true);
    const shared = meta.u32(config.shared_expert_intermediate_size);
    return {
      ...model,
      keys: [...model.keys, ...mixture.keys, ["expert_shared_feed_forward_length", shared]],
      remarks: [...(model.remarks ?? []), ...mixture.remarks],
    };
  }),
  tensors: [
    tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
    ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
    ...deltaNet(order),
    ...linear("ssm_ba", ["timeStep*2", "embd"], `${source}.in_proj_ba`, { when }),
    ...linear("attn_qkv", ["deltaQkv", "embd"], qkvz, { when, part: grouped("q", "k", "v") }),
    ...linear("attn_gate", ["inner", "embd"], qkvz, { when, part: grouped("z") }),
    ...gatedAttention,
    ...ffnNorm,
    ...moe,
    ...gatedSharedExpert,
    ...norm("output_norm", "embd", "model.norm"),
    tensor("output", ["vocab", "embd"], "lm_head.weight"),
  ],
  ignored: [],
  decoder: (h) => ({ norm: "rms", layers: deltaLayers(h, "grouped") }),
};
