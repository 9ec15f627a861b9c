import type { HParams } from "../../arch/hparams.js";
import type { LayerNumbers } from "../../arch/numbers/layers.js";
import type { LayerTraits, RopeTraits } from "../../arch/traits.js";
import type { Model } from "../../model.js";
import { sliceRows, type Tensor } from "../../tensor.js";
import { planFeedForward } from "../feed-forward/plan.js";
import { mixerOf } from "../mixers/index.js";
import type { PlanParts } from "../mixers/mixer.js";
import { bareNorm, type Finder, findIn, part } from "./finder.js";
import type {
  Columns,
  DecoderPlan,
  LayerInputPlan,
  LayerPlan,
  LowRankPlan,
  NormPlan,
  RopePlan,
  StreamMixing,
  StreamProjections,
} from "./types.js";

/** Which tensor does what in the forward pass of a model; its tensors are complete, as binding has checked. */
export function planDecoder(model: Pick<Model, "architecture" | "hparams" | "tensors">): DecoderPlan {
  const { architecture, hparams, tensors } = model;
  const traits = architecture.decoder(hparams);
  const norms = { kind: traits.norm, epsilon: hparams.normEpsilon };
  const find = findIn(tensors, norms);
  const bare = traits.bareNorms ? bareNorm(hparams.embeddingLength, norms) : undefined;
  const rope = ropePlanner(find, hparams);
  const token_embd = find.tensor("token_embd")!;
  const embedding = {
    token_embd,
    position_embd: find.tensor("position_embd"),
    embeddingScale: traits.embeddingScale,
    embeddingNorm: find.norm("token_embd_norm"),
    expand: planProjections(find.tensor("altup_proj")),
  };
  const table = find.tensor("per_layer_token_embd");
  const layers = traits.layers.map((layer, i) =>
    planLayer(layer, bare, i, {
      find: find.of(i),
      hparams,
      numbers: hparams.layers[i]!,
      rope: rope(hparams.layers[i]!),
    }),
  );
  return {
    hparams,
    ...embedding,
    ...withKept(layers, (1 + (embedding.expand?.matrices.length ?? 0)) * hparams.embeddingLength),
    layerInputs: table && { table, embedding },
    head: {
      merge: planProjections(find.tensor("altup_unembd_proj")),
      output_norm: (find.norm("output_norm") ?? bare)!,
      output: find.tensor("output") ?? token_embd,
      outputBias: find.tensor("output_bias"),
      logitScale: traits.logitScale,
      logitSoftcap: traits.logitSoftcap,
    },
  };
}

/** Where each token has what some layers keep for others: behind its hidden state of `width` floats. */
function withKept(layers: readonly LayerPlan[], width: number): Pick<DecoderPlan, "floats" | "layers"> {
  const places = new Map<number, Columns[]>();
  let floats = width;
  for (const { stateOf } of layers.map(({ mixer }) => mixer.plan)) {
    if (stateOf === undefined || places.has(stateOf)) continue;
    const { plan } = layers[stateOf]!.mixer;
    const parts = mixerOf(plan).kept?.(plan) ?? [];
    places.set(
      stateOf,
      parts.map((count) => {
        floats += count;
        return [floats - count, count];
      }),
    );
  }
  const planned = layers.map((layer, i): LayerPlan => {
    const { plan } = layer.mixer;
    const kept = places.get(plan.stateOf ?? i);
    return kept === undefined ? layer : { ...layer, mixer: { ...layer.mixer, plan: { ...plan, kept } } };
  });
  return { floats, layers: planned };
}

/** Square matrices that are stacked. */
function planProjections(stack: Tensor | undefined): StreamProjections | undefined {
  if (stack === undefined) return undefined;
  const [count, rows, columns] = stack.shape as [number, number, number];
  if (count === 0) return undefined;
  const matrices = Array.from({ length: count }, (_, i) => ({
    weight: sliceRows(stack, i * rows, rows, [rows, columns]),
    bias: undefined,
  }));
  return { matrices };
}

function planStreams({ find }: PlanParts, active: number): StreamMixing {
  return {
    active,
    norm: find.norm("altup_router_norm")!,
    router: find.linear("altup_router")!,
    predict: find.tensor("altup_predict_coef")!,
    correct: find.tensor("altup_correct_coef")!,
    scale: find.tensor("altup_correct_scale")!,
  };
}

function planLowRank({ find }: PlanParts): LowRankPlan | undefined {
  const [left, right] = [find.linear("laurel_l"), find.linear("laurel_r")];
  return left && right && { left, right, postNorm: find.norm("laurel_post_norm")! };
}

/** What a layer knows of tokens themselves: its part of what all layers have in one. */
function planInput(
  { find, hparams }: PlanParts,
  layer: number,
  activation: LayerInputPlan["activation"],
): LayerInputPlan | undefined {
  const { layerInputLength: n } = hparams;
  const gate = find.linear("layer_input_gate");
  const model = find.whole.tensor("layer_input_model");
  if (n === 0 || gate === undefined || model === undefined) return undefined;
  return {
    columns: [layer * n, n],
    model: part({ weight: model, bias: undefined }, layer * n, n),
    norm: find.whole.norm("layer_input_norm")!,
    gate,
    activation,
    projection: find.linear("layer_input_proj")!,
    postNorm: find.norm("layer_input_post_norm"),
  };
}

function planLayer(
  {
    mixer,
    feedForward,
    parallel = false,
    residual = { of: "input" },
    inputActivation,
    activeStream,
  }: LayerTraits,
  bare: NormPlan | undefined,
  layer: number,
  parts: PlanParts,
): LayerPlan {
  const { find } = parts;
  return {
    mixer: {
      norm: find.norm("attn_norm_2") ?? find.norm("attn_norm") ?? bare,
      plan: mixerOf(mixer).plan(mixer, parts),
      postNorm: find.norm("attn_post_norm"),
    },
    feedForward: feedForward && {
      // A parallel feed-forward without a norm of its own shares the mixer's; Falcon-40B calls its own attn_norm.
      norm: find.norm("ffn_norm") ?? (parallel ? find.norm("attn_norm") : bare),
      plan: planFeedForward(feedForward, parts),
      postNorm: find.norm("ffn_post_norm"),
    },
    parallel,
    lowRank: planLowRank(parts),
    streams: activeStream === undefined ? undefined : planStreams(parts, activeStream),
    input: inputActivation && planInput(parts, layer, inputActivation),
    outputScale: find.tensor("layer_output_scale"),
    residual,
  };
}

/** Gives layers whose RoPE is the same one plan. */
function ropePlanner(
  find: Finder,
  hparams: HParams,
): (numbers: LayerNumbers) => (traits: RopeTraits) => RopePlan {
  const { ropeFreqBase, ropeScaling, ropeAttnFactor, ropeMscale, ropeOriginalContext } = hparams;
  const frequencies = find.tensor("rope_freqs");
  const scaled = {
    ...{ ropeScaling, ropeAttnFactor, ropeMscale, ropeOriginalContext },
    divisors: {
      short: frequencies ?? find.tensor("rope_factors_short"),
      long: frequencies ?? find.tensor("rope_factors_long"),
    },
  };
  const { short } = scaled.divisors;
  const unscaled = {
    ...{ ropeAttnFactor: 1, ropeMscale: undefined, ropeOriginalContext },
    ropeScaling: { type: "none" },
    divisors: { short: undefined, long: undefined },
  } as const;
  const plans = new Map<string, RopePlan>();
  return (numbers) => (traits) => {
    const { pairs, base = ropeFreqBase, plain = traits.base !== undefined } = traits;
    const { dimensionCount: ropeDimensionCount = numbers.ropeDimensionCount } = traits;
    const { shortDivisors = false } = traits;
    const key = `${pairs} ${base} ${plain} ${ropeDimensionCount} ${shortDivisors}`;
    const plan: RopePlan = plans.get(key) ?? {
      ...{ pairs, ropeDimensionCount, ropeFreqBase: base },
      ...(plain ? unscaled : scaled),
      ...(shortDivisors && { divisors: { short, long: short } }),
    };
    plans.set(key, plan);
    return plan;
  };
}
