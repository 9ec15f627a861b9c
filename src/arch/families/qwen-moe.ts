import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import type { HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag } from "../config.js";
import { experts, linear, tensor } from "../rows.js";
import { qwenFields, readQwen } from "./qwen2.js";

// What the mixtures of experts of Qwen's generations share.

export const moeFields = {
  ...qwenFields,
  num_experts: v.nullish(count),
  /** What transformers 5 calls it. */
  num_local_experts: v.nullish(count),
  num_experts_per_tok: count,
  moe_intermediate_size: count,
  norm_topk_prob: flag,
  decoder_sparse_step: v.nullish(count),
  mlp_only_layers: v.nullish(v.array(v.number())),
};

const schema = v.looseObject(moeFields);

/** @throws LlqError `unsupported` where some layers have no experts */
export function readMoe(config: v.InferOutput<typeof schema>): HfModel {
  expectField("decoder_sparse_step", config.decoder_sparse_step ?? 1, 1);
  expectField("mlp_only_layers", (config.mlp_only_layers ?? []).join() || "none", "none");
  const model = readQwen(config);
  return { ...model, keys: [...model.keys, ...moeKeys(config)] };
}

/** How many experts of what width there are. @throws LlqError `bad-input` where nothing says how many */
export function moeKeys(config: {
  readonly num_experts?: number | null | undefined;
  readonly num_local_experts?: number | null | undefined;
  readonly num_experts_per_tok: number;
  readonly moe_intermediate_size: number;
}): HfModel["keys"] {
  const expertCount = config.num_experts ?? config.num_local_experts;
  if (expertCount == null) throw badInput("config.json: num_experts is missing");
  return [
    ["expert_count", meta.u32(expertCount)],
    ["expert_used_count", meta.u32(config.num_experts_per_tok)],
    ["expert_feed_forward_length", meta.u32(config.moe_intermediate_size)],
  ];
}

/** The router and what it chooses from. */
export const moe: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.gate.weight"),
  ...experts("model.layers.{i}.mlp.experts.{e}", { gate: "gate_proj", down: "down_proj", up: "up_proj" }),
];

/** The expert that every token goes through, and the row that says how much of it. */
export const sharedExpert: readonly TensorRow[] = [
  tensor("router_shexp", ["one", "embd"], "model.layers.{i}.mlp.shared_expert_gate.weight"),
  ...linear("ffn_gate_shexp", ["sharedFfn", "embd"], "model.layers.{i}.mlp.shared_expert.gate_proj"),
  ...linear("ffn_up_shexp", ["sharedFfn", "embd"], "model.layers.{i}.mlp.shared_expert.up_proj"),
  ...linear("ffn_down_shexp", ["embd", "sharedFfn"], "model.layers.{i}.mlp.shared_expert.down_proj"),
];
