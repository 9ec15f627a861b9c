import type { HParams } from "../../arch/hparams.js";
import type { LayerNumbers } from "../../arch/numbers/layers.js";
import type { LayerTraits, RopeTraits } from "../../arch/traits.js";
import type { Model } from "../../model.js";
import { planFeedForward } from "../feed-forward/plan.js";
import { mixerOf } from "../mixers/index.js";
import type { PlanParts } from "../mixers/mixer.js";
import { bareNorm, type Finder, findIn } from "./finder.js";
import type { DecoderPlan, LayerPlan, NormPlan, RopePlan } from "./types.js";

/** Which tensor does what in the forward pass of a model; its tensors are complete, as binding has checked. */
export function planDecoder(model: Pick<Model, "architecture" | "hparams" | "tensors">): DecoderPlan {
  const { architecture, hparams, tensors } = model;
  const traits = architecture.decoder(hparams);
  const norms = { kind: traits.norm, epsilon: hparams.normEpsilon };
  const find = findIn(tensors, norms);
  const bare = traits.bareNorms ? bareNorm(hparams.embeddingLength, norms) : undefined;
  const rope = ropePlanner(find, hparams);
  const token_embd = find.tensor("token_embd")!;
  return {
    hparams,
    token_embd,
    position_embd: find.tensor("position_embd"),
    embeddingScale: traits.embeddingScale,
    embeddingNorm: find.norm("token_embd_norm"),
    layers: traits.layers.map((layer, i) =>
      planLayer(layer, bare, {
        find: find.of(i),
        hparams,
        numbers: hparams.layers[i]!,
        rope: rope(hparams.layers[i]!),
      }),
    ),
    head: {
      output_norm: (find.norm("output_norm") ?? bare)!,
      output: find.tensor("output") ?? token_embd,
      outputBias: find.tensor("output_bias"),
      logitScale: traits.logitScale,
      logitSoftcap: traits.logitSoftcap,
    },
  };
}

function planLayer(
  { mixer, feedForward, parallel = false, residual = { of: "input" } }: LayerTraits,
  bare: NormPlan | undefined,
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
