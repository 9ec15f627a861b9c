import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { HfModel, TensorRow } from "../architecture.js";
import { count, flag } from "../config.js";
import { hasExperts, isDense } from "../hparams.js";
import { experts, gatedMlp, sharedExpert, tensor } from "../rows.js";
import { expertKeys } from "./experts.js";
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

/** @param usual what loaders take of the family's architecture, and which layers have a window where nothing says */
export function readMoe(
  config: v.InferOutput<typeof schema>,
  usual: { readonly normalize: boolean; readonly window: (layer: number) => boolean },
): HfModel {
  const model = readQwen(config, usual.window);
  const mixture = readMixture(config, config.norm_topk_prob ?? false, usual.normalize);
  return {
    ...model,
    keys: [...model.keys, ...mixture.keys],
    remarks: [...(model.remarks ?? []), ...mixture.remarks],
  };
}

/** What a config says of its experts; whether their weights add up to 1, and what loaders take. */
export function readMixture(
  config: Parameters<typeof moeKeys>[0] & Parameters<typeof layerKeys>[0],
  normalizes: boolean,
  usual: boolean,
): { readonly keys: HfModel["keys"]; readonly remarks: readonly string[] } {
  const layers = layerKeys(config);
  const norm = normalizes === usual ? [] : [["expert_weights_norm", meta.bool(normalizes)] as const];
  return {
    keys: [...moeKeys(config), ...norm, ...layers],
    remarks: [
      ...(norm.length === 0
        ? []
        : [
            normalizes
              ? t`the weights of a token's experts add up to 1 (norm_topk_prob); llama.cpp leaves them as they are`
              : t`the weights of a token's experts are left as they are (no norm_topk_prob); llama.cpp makes them add up to 1`,
          ]),
      ...(layers.length === 0 ? [] : [t`some layers have no experts; llama.cpp loads no such model`]),
    ],
  };
}

/**
 * Which layers have experts, where not all do. llama.cpp's loaders of these architectures know no others, and no key; ours
 * reads these.
 */
function layerKeys(config: {
  readonly num_hidden_layers: number;
  readonly decoder_sparse_step?: number | null | undefined;
  readonly mlp_only_layers?: readonly number[] | null | undefined;
}): HfModel["keys"] {
  const { num_hidden_layers: layers, decoder_sparse_step: step, mlp_only_layers: dense } = config;
  const has = Array.from(
    { length: layers },
    (_, layer) => (layer + 1) % (step ?? 1) === 0 && dense?.includes(layer) !== true,
  );
  return has.every(Boolean) ? [] : [["expert_layers", meta.bools(has)]];
}

/** How many experts of what width there are. @throws LlqError `bad-input` where nothing says how many */
export function moeKeys(config: {
  readonly num_experts?: number | null | undefined;
  readonly num_local_experts?: number | null | undefined;
  readonly num_experts_per_tok: number;
  readonly moe_intermediate_size: number;
}): HfModel["keys"] {
  const expertCount = config.num_experts ?? config.num_local_experts;
  if (expertCount == null) throw badInput(t`config.json: num_experts is missing`);
  return expertKeys({
    count: expertCount,
    used: config.num_experts_per_tok,
    feedForwardLength: config.moe_intermediate_size,
  });
}

/** The router and what it chooses from; in layers without, an MLP. */
export const moe: readonly TensorRow[] = [
  tensor("router", ["experts", "embd"], "model.layers.{i}.mlp.gate.weight", { when: hasExperts }),
  ...experts(
    "model.layers.{i}.mlp.experts.{e}",
    { gate: "gate_proj", down: "down_proj", up: "up_proj" },
    { when: hasExperts },
  ),
  ...gatedMlp("model.layers.{i}.mlp", { when: isDense }),
];

/** The expert that every token goes through, and the row that says how much of it. */
export const gatedSharedExpert: readonly TensorRow[] = [
  tensor("router_shexp", ["one", "embd"], "model.layers.{i}.mlp.shared_expert_gate.weight", {
    when: hasExperts,
  }),
  ...sharedExpert("model.layers.{i}.mlp.shared_expert", { when: hasExperts }),
];
