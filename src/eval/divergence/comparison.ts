import type { Slab } from "../../net/products/matmul.js";

/** The likelihood of the targets, from logits that come slab by slab. */
export interface Likelihood {
  readonly nll: Float64Array;
  /** ln Σ e^logit */
  readonly logSum: Float64Array;
}

/** One value for each target. */
export interface BaseScores {
  /** -ln p(target), of the base */
  readonly nll: Float64Array;
  /** Kullback-Leibler divergence from the base to the model, Σ p_base ln(p_base / p), in nats. */
  readonly kld: Float64Array;
  /** 1 where both hold the same token likeliest. */
  readonly sameTop: Uint8Array;
}

/** Takes the model's logits, slab by slab, beside the base's. */
export interface Comparison {
  add(slab: Slab): void;
  result(likelihood: Likelihood): BaseScores;
}

/** The tokens that follow: their numbers in the kernels' memory, and here. */
export interface Targets {
  readonly ids: number;
  readonly values: Int32Array;
}
