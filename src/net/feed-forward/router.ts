import type { RouterTraits } from "../../arch/traits.js";

/** An expert that a token goes through, and with what weight. */
export interface Chosen {
  readonly expert: number;
  readonly weight: number;
}

/** What the sum of weights is at least, before they are divided by it. */
const LEAST_SUM = 1e-20;

/**
 * The `used` experts that a token goes through, the best first; of equally good ones, the first. Computed in f64 of
 * logits in f32.
 * @param bias of each expert: added to what it is chosen by, not to its weight
 */
export function chooseExperts(
  router: RouterTraits,
  used: number,
  logits: Float32Array,
  bias: Float32Array | undefined,
): Chosen[] {
  if (router.gating === "sparsemixer") return mixSparsely(logits, used, router.jitter ?? 0);
  const scores = scoresOf(router.gating, logits);
  const selection = bias === undefined ? scores : scores.map((score, expert) => score + bias[expert]!);
  const chosen = best(inBestGroups(router, selection), used);
  const weights =
    router.gating === "softmaxOfChosen"
      ? softmax(chosen.map((expert) => scores[expert]!))
      : chosen.map((expert) => scores[expert]!);
  const sum = router.normalize ? Math.max(LEAST_SUM, total(weights)) : 1;
  const factor = (router.scale ?? 1) / sum;
  return chosen.map((expert, i) => ({ expert, weight: weights[i]! * factor }));
}

function scoresOf(gating: Exclude<RouterTraits["gating"], "sparsemixer">, logits: Float32Array): number[] {
  switch (gating) {
    case "softmax":
      return softmax([...logits]);
    case "sigmoid":
      return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
    case "sqrtSoftplus":
      return Array.from(logits, (logit) =>
        Math.sqrt(Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)))),
      );
    case "softmaxOfChosen":
      return [...logits];
  }
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const parts = logits.map((logit) => Math.exp(logit - largest));
  const sum = total(parts);
  return parts.map((part) => part / sum);
}

/** What experts are chosen by, -∞ in all groups but the best. */
function inBestGroups({ groups }: RouterTraits, selection: readonly number[]): readonly number[] {
  if (groups === undefined || groups.used === groups.count) return selection;
  const size = selection.length / groups.count;
  const scores = Array.from({ length: groups.count }, (_, group) => {
    const own = selection.slice(group * size, (group + 1) * size);
    const [first, second] = best(own, 2).map((expert) => own[expert]!) as [number, number?];
    return groups.score === "largest" ? first : first + (second ?? 0);
  });
  const kept = new Set(best(scores, groups.used));
  return selection.map((each, expert) =>
    kept.has(Math.floor(expert / size)) ? each : Number.NEGATIVE_INFINITY,
  );
}

/** Which `count` of the values are largest, in that order. */
function best(values: readonly number[], count: number): number[] {
  return [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count);
}

/** See RouterTraits: each expert's weight is its share among those near it that were not chosen before. */
function mixSparsely(logits: Float32Array, used: number, jitter: number): Chosen[] {
  const left = new Set(logits.keys());
  return best([...logits], used).map((expert) => {
    const top = logits[expert]!;
    const near = [...left].filter((each) => {
      const logit = logits[each]!;
      // Not <=: all being 0 is no reason to leave one out.
      return !((top - logit) / Math.max(Math.abs(logit), top) > 2 * jitter);
    });
    left.delete(expert);
    return { expert, weight: 1 / total(near.map((each) => Math.exp(logits[each]! - top))) };
  });
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
