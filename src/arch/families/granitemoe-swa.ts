import * as v from "valibot";
import type { Architecture, TensorRow } from "../architecture.js";
import { count, reader } from "../config.js";
import { linear, tensor } from "../rows.js";
import { expertKeys, hasSharedExperts, none, routerOf } from "./experts.js";
import { graniteSwa, graniteSwaSchema, readGraniteSwa, windowedKind } from "./granite-swa.js";

const schema = v.looseObject({
  ...graniteSwaSchema.entries,
  num_local_experts: v.optional(count, 8),
  num_experts_per_tok: v.optional(count, 2),
  shared_intermediate_size: v.nullish(none),
});

const MOE = "model.layers.{i}.block_sparse_moe";
const SHARED = "model.layers.{i}.shared_mlp";
const ofShared = { when: hasSharedExperts } as const;

const rest: readonly TensorRow[] = [
  tensor(
    "ffn_down_exps",
    ["experts", "embd", "expertFfn"],
    [`${MOE}.experts.down_proj`, `${MOE}.output_linear.weight`],
  ),
  ...linear("ffn_up_shexp", ["sharedFfn*2", "embd"], `${SHARED}.input_linear`, ofShared),
  ...linear("ffn_down_shexp", ["embd", "sharedFfn"], `${SHARED}.output_linear`, ofShared),
];
const others: readonly TensorRow[] = [
  ...graniteSwa.tensors.filter(({ role }) => !/^ffn_(gate|up|down)|^router/.test(role)),
  tensor("router", ["experts", "embd"], [`${MOE}.router.weight`, `${MOE}.router.layer.weight`]),
];

/** The same with experts. Gate and up are one matrix, in GGUF too. */
export const graniteMoeSwa: Architecture = {
  ...graniteSwa,
  covers: ["Granite with windows, sinks and experts"],
  classes: ["GraniteMoeSWAForCausalLM"],
  read: reader(schema, (config) => {
    const model = readGraniteSwa(config);
    const experts = expertKeys({
      count: config.num_local_experts,
      used: config.num_experts_per_tok,
      sharedFeedForwardLength: config.shared_intermediate_size || undefined,
    });
    return { ...model, tied: config.tie_word_embeddings === true, keys: [...model.keys, ...experts] };
  }),
  tensors: [
    ...others,
    tensor(
      "ffn_gate_up_exps",
      ["experts", "expertFfn*2", "embd"],
      [`${MOE}.experts.gate_up_proj`, `${MOE}.input_linear.weight`],
    ),
    ...rest,
  ],
  decoder: (h) => windowedKind(h, routerOf(h, { gating: "softmax", normalize: true })),
};
