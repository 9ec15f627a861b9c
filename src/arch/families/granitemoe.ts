import * as v from "valibot";
import type { Architecture, HfModel, TensorRow } from "../architecture.js";
import { halfOfRows } from "../checkpoint/woven-experts.js";
import { count, reader } from "../config.js";
import { partOf } from "../fused.js";
import { hasExperts } from "../hparams.js";
import { linear, tensor } from "../rows.js";
import { expertKeys, hasSharedExperts, none, routerOf } from "./experts.js";
import { graniteKeys, graniteSchema, scaledKind } from "./granite.js";
import { llama, readLlama } from "./llama.js";

const schema = v.looseObject({
  ...graniteSchema.entries,
  num_local_experts: count,
  num_experts_per_tok: count,
  shared_intermediate_size: v.nullish(none),
});

/** What a config says of a Granite's experts. */
export function graniteExpertKeys(config: {
  readonly num_local_experts: number;
  readonly num_experts_per_tok: number;
  readonly shared_intermediate_size?: number | null | undefined;
}): HfModel["keys"] {
  return expertKeys({
    count: config.num_local_experts,
    used: config.num_experts_per_tok,
    sharedFeedForwardLength: config.shared_intermediate_size || undefined,
  });
}

/** A table without what its feed-forwards are made of. */
export function withoutFeedForward(rows: readonly TensorRow[]): TensorRow[] {
  return rows.filter(({ role }) => !/^ffn_(gate|up|down)|^router/.test(role));
}

const MOE = "model.layers.{i}.block_sparse_moe";
const SHARED = "model.layers.{i}.shared_mlp";

const ofExperts = { when: hasExperts } as const;
const ofShared = { when: hasSharedExperts } as const;
/** Gate and up stand below each other. */
const halfOfShared = (index: 0 | 1) => ({ ...ofShared, part: partOf(["sharedFfn", "sharedFfn"], index) });

const moe: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], [`${MOE}.router.layer.weight`, `${MOE}.router.weight`], ofExperts),
  tensor("ffn_gate_exps", ["experts", "expertFfn", "embd"], `${MOE}.input_linear.weight`, {
    ...ofExperts,
    view: halfOfRows(0),
  }),
  tensor("ffn_up_exps", ["experts", "expertFfn", "embd"], `${MOE}.input_linear.weight`, {
    ...ofExperts,
    view: halfOfRows(1),
  }),
  tensor("ffn_down_exps", ["experts", "embd", "expertFfn"], `${MOE}.output_linear.weight`, ofExperts),
  ...linear("ffn_gate_shexp", ["sharedFfn", "embd"], `${SHARED}.input_linear`, halfOfShared(0)),
  ...linear("ffn_up_shexp", ["sharedFfn", "embd"], `${SHARED}.input_linear`, halfOfShared(1)),
  ...linear("ffn_down_shexp", ["embd", "sharedFfn"], `${SHARED}.output_linear`, ofShared),
];

/** A Granite with experts, whose matrices are stacked; and with one that is shared, where it has a width. */
export const graniteMoe: Architecture = {
  ...llama,
  name: "granitemoe",
  covers: ["Granite 3 MoE"],
  classes: ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"],
  read: reader(schema, (config) => {
    const model = readLlama(config);
    return { ...model, keys: [...model.keys, ...graniteKeys(config), ...graniteExpertKeys(config)] };
  }),
  tensors: [...withoutFeedForward(llama.tensors), ...moe],
  decoder: (h) => scaledKind(h, "neighbours", routerOf(h, { gating: "softmax", normalize: true })),
};
