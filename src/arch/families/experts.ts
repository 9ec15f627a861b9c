import * as v from "valibot";
import { badInput } from "../../../formats/errors.js";
import { meta } from "../../../formats/gguf/gguf-write.js";
import { t } from "../../language/t.js";
import type { HfModel, TensorRow } from "../architecture.js";
import { count, expectField, flag, positive } from "../config.js";
import { type HParams, hasExperts } from "../hparams.js";
import { type Gating, gatingNumber } from "../numbers/experts.js";
import { experts, gatedMlp, selectionBias, sharedExpert, tensor } from "../rows.js";
import type { RouterTraits } from "../traits.js";

// What families with mixtures of experts share: the fields and keys that say how tokens come to experts, and what they mean.

/** A count that may be 0. */
export const none = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));

/** The fields of a config.json, by the names that DeepSeek and transformers 5 gave them. */
export const expertFields = {
  n_routed_experts: v.nullish(count),
  num_local_experts: v.nullish(count),
  num_experts: v.nullish(count),
  num_experts_per_tok: count,
  moe_intermediate_size: count,
  n_shared_experts: v.nullish(none),
  num_shared_experts: v.nullish(none),
  first_k_dense_replace: v.nullish(none),
  n_group: v.nullish(none),
  topk_group: v.nullish(none),
  norm_topk_prob: flag,
  routed_scaling_factor: v.nullish(positive),
  scoring_func: v.nullish(v.string()),
  score_function: v.nullish(v.string()),
};

const schema = v.looseObject(expertFields);

/** The kinds that config.json has words for. */
const GATINGS: Readonly<Record<string, Gating>> = {
  softmax: "softmax",
  sigmoid: "sigmoid",
  sqrtsoftplus: "sqrtSoftplus",
};

/**
 * What those fields say; `usual` is what the class takes where they do not.
 * @throws LlqError `bad-input` without a number of experts, `unsupported` for a router of an unknown kind
 */
export function readExpertFields(
  config: v.InferOutput<typeof schema>,
  usual: { readonly gating: Gating; readonly normalize: boolean },
): ExpertConfig {
  const experts = config.n_routed_experts ?? config.num_local_experts ?? config.num_experts;
  if (experts == null) throw badInput(t`config.json: n_routed_experts is missing`);
  const func = config.scoring_func ?? config.score_function;
  if (func != null) expectField("scoring_func", func, ...Object.keys(GATINGS));
  return {
    count: experts,
    used: config.num_experts_per_tok,
    feedForwardLength: config.moe_intermediate_size,
    sharedCount: config.n_shared_experts ?? config.num_shared_experts,
    leadingDenseCount: config.first_k_dense_replace,
    gating: func == null ? usual.gating : GATINGS[func],
    normalize: config.norm_topk_prob ?? usual.normalize,
    scale: config.routed_scaling_factor,
    groupCount: config.n_group,
    groupsUsed: config.topk_group,
  };
}

/** transformers' list of what each layer's feed-forward is. */
export const mlpLayerTypes = v.nullish(v.array(v.picklist(["dense", "sparse"])));

/**
 * How many layers at the beginning have no experts; `usual` where there is no list.
 * @throws LlqError `bad-input` unless it is one for each layer, `unsupported` where others have none, too
 */
export function leadingDense(
  types: readonly string[] | null | undefined,
  layers: number,
  usual: number,
): number {
  if (types == null) return usual;
  if (types.length !== layers)
    throw badInput(t`config.json: mlp_layer_types has ${types.length} of ${layers} layers`);
  const sparse = types.indexOf("sparse");
  const leading = sparse < 0 ? layers : sparse;
  for (const type of types.slice(leading))
    expectField(t`mlp_layer_types, behind the first sparse one,`, type, "sparse");
  return leading;
}

/** Whether a layer has experts, in architectures where all but the first have unless a file says otherwise. */
export function behindFirst({ expertLayers }: HParams, layer: number | undefined): boolean {
  return expertLayers?.[layer!] ?? layer! > 0;
}

/** A key of llq's own, where others have. */
export function behindFirstKeys(sparse: readonly boolean[]): HfModel["keys"] {
  return sparse.every((has, i) => has === i > 0) ? [] : [["expert_layers", meta.bools(sparse)]];
}

/** What a config.json says of its experts, in GGUF's terms; what is absent has no key. */
export interface ExpertConfig {
  readonly count: number;
  readonly used: number;
  readonly feedForwardLength?: number | null | undefined;
  readonly sharedCount?: number | null | undefined;
  readonly sharedFeedForwardLength?: number | null | undefined;
  readonly leadingDenseCount?: number | null | undefined;
  readonly layerStep?: number | null | undefined;
  readonly gating?: Gating | undefined;
  readonly normalize?: boolean | null | undefined;
  readonly scale?: number | null | undefined;
  readonly groupCount?: number | null | undefined;
  readonly groupsUsed?: number | null | undefined;
}

export function expertKeys(config: ExpertConfig): HfModel["keys"] {
  const number = (key: string, value: number | null | undefined) =>
    value == null ? [] : [[key, meta.u32(value)] as const];
  const { gating, normalize, scale } = config;
  return [
    ["expert_count", meta.u32(config.count)],
    ["expert_used_count", meta.u32(config.used)],
    ...number("expert_feed_forward_length", config.feedForwardLength),
    ...number("expert_shared_count", config.sharedCount),
    ...number("expert_shared_feed_forward_length", config.sharedFeedForwardLength),
    ...number("leading_dense_block_count", config.leadingDenseCount),
    ...number("interleave_moe_layer_step", config.layerStep),
    ...number("expert_group_count", config.groupCount),
    ...number("expert_group_used_count", config.groupsUsed),
    ...(gating === undefined ? [] : [["expert_gating_func", meta.u32(gatingNumber(gating))] as const]),
    ...(normalize == null ? [] : [["expert_weights_norm", meta.bool(normalize)] as const]),
    ...(scale == null ? [] : [["expert_weights_scale", meta.f32(scale)] as const]),
  ];
}

/** How a model's tokens come to experts: as its keys say, and where they do not, as is usual for the architecture. */
export function routerOf({ router }: HParams, usual: RouterTraits): RouterTraits {
  const { gating, normalize, scale, groupCount, groupsUsed, scoresByBest } = router;
  return {
    ...usual,
    gating: gating ?? usual.gating,
    normalize: normalize ?? usual.normalize ?? false,
    scale: scale ?? usual.scale,
    groups:
      groupCount > 1
        ? {
            count: groupCount,
            used: groupsUsed,
            score: scoresByBest ? "largest" : (usual.groups?.score ?? "twoLargest"),
          }
        : undefined,
  };
}

/** Whether a block has experts that all tokens go through, beside others. */
export function hasSharedExperts(hparams: HParams, layer: number | undefined): boolean {
  return hasExperts(hparams, layer) && hparams.sharedExpertFeedForwardLength > 0;
}

const MLP = "model.layers.{i}.mlp";

/**
 * Where a checkpoint has a router's matrix, the expert that all tokens go through, and what is added to scores when experts
 * are chosen, if anything is.
 */
interface RouterSources {
  readonly router?: string;
  readonly shared?: string;
  readonly selection?: string | readonly string[];
  /** Of the latter. */
  readonly options?: Pick<TensorRow, "optional" | "storedShape">;
  /** Whether a layer has experts. */
  readonly sparse?: (hparams: HParams, layer: number | undefined) => boolean;
}

/**
 * A feed-forward by the names of transformers' later families: the experts that a router chooses, those that all tokens go
 * through, and in layers without experts an MLP.
 */
export function mixtureRows({
  router = `${MLP}.gate`,
  shared = `${MLP}.shared_experts`,
  selection,
  options,
  sparse = hasExperts,
}: RouterSources = {}): TensorRow[] {
  const when = sparse;
  const isShared: TensorRow["when"] = (h, layer) => sparse(h, layer) && h.sharedExpertFeedForwardLength > 0;
  return [
    tensor("router", ["experts", "embd"], `${router}.weight`, { when }),
    ...(selection === undefined ? [] : [selectionBias(selection, { when, ...options })]),
    ...experts(`${MLP}.experts.{e}`, { gate: "gate_proj", down: "down_proj", up: "up_proj" }, { when }),
    ...sharedExpert(shared, { when: isShared }),
    ...gatedMlp(MLP, { when: (h, layer) => !sparse(h, layer) }),
  ];
}
