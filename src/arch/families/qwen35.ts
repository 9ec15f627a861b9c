import * as v from "valibot";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { Architecture, Part, TensorRow } from "../architecture.js";
import { count, reader } from "../config.js";
import type { HParams } from "../hparams.js";
import { gatedMlp, linear, tensor } from "../rows.js";
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
import { gatedSharedExpert, moe, moeKeys } from "./qwen-moe.js";
import { sectionKeys } from "./sections.js";

// Qwen3.5 and 3.6. Checkpoints have the value heads of a key head side by side; GGUF has first the first ones of all.

/** Of `width` rows for each value head, behind `before` others. */
function tiled(before: (h: HParams) => number, width: (h: HParams) => number): (h: HParams) => Part {
  return (h) => {
    const { groupCount: groups, timeStepRank: heads } = h.ssm;
    const [first, rows, each] = [before(h), width(h), heads / groups];
    const values = Array.from({ length: heads }, (_, head) => {
      const stored = (head % groups) * each + Math.floor(head / groups);
      return { first: first + stored * rows, count: rows };
    });
    const ranges = first > 0 ? [{ first: 0, count: first }, ...values] : values;
    return { rows: first + heads * rows, ranges };
  };
}

const keys = ({ ssm }: HParams) => 2 * ssm.groupCount * ssm.stateSize;
const valueLength = ({ ssm }: HParams) => ssm.innerSize / ssm.timeStepRank;
const none = () => 0;

const order: ValueOrder = {
  heads: tiled(none, () => 1),
  channels: tiled(keys, valueLength),
  columns: ({ ssm: { groupCount: groups, timeStepRank } }) =>
    groups === timeStepRank ? [] : [{ kind: "tileColumns", groups, each: timeStepRank / groups }],
};

const source = "model.layers.{i}.linear_attn";
const when = isRecurrent;

const before: readonly TensorRow[] = [
  tensor("token_embd", ["vocab", "embd"], "model.embed_tokens.weight"),
  ...norm("attn_norm", "embd", "model.layers.{i}.input_layernorm"),
  ...deltaNet(order),
  ...linear("ssm_alpha", ["timeStep", "embd"], `${source}.in_proj_a`, { when, part: order.heads }),
  ...linear("ssm_beta", ["timeStep", "embd"], `${source}.in_proj_b`, { when, part: order.heads }),
  ...linear("attn_qkv", ["deltaQkv", "embd"], `${source}.in_proj_qkv`, { when, part: order.channels }),
  ...linear("attn_gate", ["inner", "embd"], `${source}.in_proj_z`, { when, part: tiled(none, valueLength) }),
  ...gatedAttention,
  ...ffnNorm,
];

const after: readonly TensorRow[] = [
  ...norm("output_norm", "embd", "model.norm"),
  tensor("output", ["vocab", "embd"], "lm_head.weight"),
];

const SECTIONS = [11, 11, 10];

const dense = v.looseObject(deltaFields);
const mixture = v.looseObject({
  ...deltaFields,
  intermediate_size: v.nullish(count),
  num_experts: v.nullish(count),
  num_local_experts: v.nullish(count),
  num_experts_per_tok: v.nullish(count, 8),
  moe_intermediate_size: v.nullish(count, 512),
  shared_expert_intermediate_size: v.nullish(count, 512),
});

const decoder: Architecture["decoder"] = (h) => ({ norm: "rms", layers: deltaLayers(h, "tiled") });

export const qwen35: Architecture = {
  name: "qwen35",
  covers: ["Qwen3.5 and Qwen3.6"],
  year: 2026,
  classes: ["Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"],
  read: reader(dense, (config) => {
    const model = readDelta(config);
    return { ...model, keys: [...model.keys, ...sectionKeys(config, SECTIONS)] };
  }),
  tensors: [...before, ...gatedMlp("model.layers.{i}.mlp"), ...after],
  ignored: [],
  decoder,
};

export const qwen35moe: Architecture = {
  name: "qwen35moe",
  covers: ["Qwen3.5-MoE and Qwen3.6-MoE"],
  year: 2026,
  classes: ["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"],
  read: reader(mixture, (config) => {
    const { intermediate_size = config.moe_intermediate_size } = config;
    const model = readDelta({ ...config, intermediate_size: intermediate_size! });
    const own = model.keys.filter(([key]) => key !== "feed_forward_length");
    const shared = meta.u32(config.shared_expert_intermediate_size);
    return {
      ...model,
      keys: [
        ...own,
        ...sectionKeys(config, SECTIONS),
        ...moeKeys(config),
        ["expert_shared_feed_forward_length", shared],
      ],
    };
  }),
  tensors: [...before, ...moe, ...gatedSharedExpert, ...after],
  ignored: [],
  decoder,
};
