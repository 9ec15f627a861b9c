import {
  covarianceOfMeans,
  type Estimate,
  mean,
  percentile,
  rootMeanSquare,
  share,
} from "../perplexity/statistics.js";

// How far a model is from its base on the scored tokens of a text, by the definitions of
// llama-perplexity --kl-divergence. Errors take the tokens as independent.

export interface Divergence {
  readonly tokens: number;
  /** Perplexity of the base. */
  readonly basePpl: Estimate;
  /** ln(PPL / PPL of the base), token by token: what both find hard cancels out. */
  readonly lnPplRatio: Estimate;
  /** PPL / PPL of the base. */
  readonly pplRatio: Estimate;
  readonly pplDifference: Estimate;
  /** Correlation of ln p of the two. */
  readonly correlation: number;
  /** Kullback-Leibler divergence from the base, in nats. */
  readonly kld: Estimate & Percentiles;
  /** p - p of the base, of the tokens that do follow; 0 to 1. */
  readonly deltaP: Estimate & Percentiles;
  readonly deltaPRms: Estimate;
  /** Share of tokens where both hold the same one likeliest. */
  readonly sameTop: Estimate;
}

export interface Percentiles {
  readonly min: number;
  readonly max: number;
  readonly median: number;
  /** By per cent. */
  readonly percentiles: Readonly<Record<string, number>>;
}

/** Of each scored token. */
export interface TokenPairs {
  readonly nll: Float64Array;
  readonly baseNll: Float64Array;
  readonly kld: Float64Array;
  readonly sameTop: Uint8Array;
}

const PERCENTS = [0.1, 1, 5, 10, 25, 75, 90, 95, 99, 99.9];

export function summarizeDivergence({ nll, baseNll, kld, sameTop }: TokenPairs): Divergence {
  const own = mean(nll);
  const base = mean(baseNll);
  const covariance = covarianceOfMeans(nll, baseNll);
  const lnPplRatio = {
    value: own.value - base.value,
    error: Math.sqrt(Math.max(0, own.error ** 2 + base.error ** 2 - 2 * covariance)),
  };
  const ppl = exponential(own);
  const basePpl = exponential(base);
  const pplVariance = ppl.error ** 2 + basePpl.error ** 2 - 2 * ppl.value * basePpl.value * covariance;
  const deltaP = nll.map((value, i) => Math.exp(-value) - Math.exp(-baseNll[i]!));
  return {
    tokens: nll.length,
    basePpl,
    lnPplRatio,
    pplRatio: exponential(lnPplRatio),
    pplDifference: { value: ppl.value - basePpl.value, error: Math.sqrt(Math.max(0, pplVariance)) },
    correlation: covariance / (own.error * base.error),
    kld: { ...mean(kld), ...spread(kld) },
    deltaP: { ...mean(deltaP), ...spread(deltaP) },
    deltaPRms: rootMeanSquare(deltaP),
    sameTop: share(
      sameTop.reduce((sum, same) => sum + same, 0),
      sameTop.length,
    ),
  };
}

function exponential({ value, error }: Estimate): Estimate {
  return { value: Math.exp(value), error: Math.exp(value) * error };
}

function spread(values: Float64Array): Percentiles {
  const sorted = values.slice().sort();
  return {
    min: sorted[0]!,
    max: sorted.at(-1)!,
    median: percentile(sorted, 0.5),
    percentiles: Object.fromEntries(PERCENTS.map((percent) => [percent, percentile(sorted, percent / 100)])),
  };
}
