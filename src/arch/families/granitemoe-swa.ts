import * as v from "valibot";
import type { Architecture, TensorRow } from "../architecture.js";
import { count, reader } from "../config.js";
import { linear, tensor } from "../rows.js";
import { hasSharedExperts, none, routerOf } from "./experts.js";
import { graniteSwa, graniteSwaSchema, readGraniteSwa, windowedKind } from "./granite-swa.js";
import { graniteExpertKeys, withoutFeedForward } from "./granitemoe.js";

const schema = v.looseObject({
  ...graniteSwaSchema.entries,
  num_local_experts: v.optional(count, 8),
  num_experts_per_tok: v.optional(count, 2),
  shared_intermediate_size: v.nullish(none),
});

const MOE = "model.layers.{i}.block_sparse_moe";
const SHARED = "model.layers.{i}.shared_mlp";
const ofShared = { when: hasSharedExperts } as const;

const moe: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], [`${MOE}.router.weight`, `${MOE}.router.layer.weight`]),
  tensor(
    "ffn_gate_up_exps",
    ["experts", "expertFfn*2", "embd"],
    [`${MOE}.experts.gate_up_proj`, `${MOE}.input_linear.weight`],
  ),
  tensor(
    "ffn_down_exps",
    ["experts", "embd", "expertFfn"],
    [`${MOE}.experts.down_proj`, `${MOE}.output_linear.weight`],
  ),
  ...linear("ffn_up_shexp", ["sharedFfn*2", "embd"], `${SHARED}.input_linear`, ofShared),
  ...linear("ffn_down_shexp", ["embd", "sharedFfn"], `${SHARED}.output_linear`, ofShared),
];

/** The same with experts. Gate and up are one matrix, in GGUF too. */
export const graniteMoeSwa: Architecture = {
  ...graniteSwa,
  covers: ["Granite with windows, sinks and experts"],
  classes: ["GraniteMoeSWAForCausalLM"],
  read: reader(schema, (config) => {
    const model = readGraniteSwa(config);
    return {
      ...model,
      tied: config.tie_word_embeddings === true,
      keys: [...model.keys, ...graniteExpertKeys(config)],
    };
  }),
  tensors: [...withoutFeedForward(graniteSwa.tensors), ...moe],
  decoder: (h) => windowedKind(h, routerOf(h, { gating: "softmax", normalize: true })),
};
