import { badInput } from "../../../formats/errors.js";
import { inOrder, largest } from "./top.js";

export interface TokenLogprob {
  readonly token: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

/**
 * What the model says of a token, and of the `count` likeliest, likeliest first: logit - ln(sum of e^logit), in f64,
 * before any penalty or filter.
 * @throws LlqError `bad-input` for logits that are no numbers
 */
export function logprobs(
  logits: Float32Array,
  token: number,
  count: number,
): { readonly logprob: number; readonly top: readonly TokenLogprob[] } {
  const max = maximum(logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const logprobOf = (id: number) => logits[id]! - max - Math.log(sum);
  const places = count === 0 ? new Int32Array() : inOrder(largest(logits, logits.length, count), logits);
  return {
    logprob: logprobOf(token),
    top: Array.from(places, (id) => ({ token: id, logprob: logprobOf(id) })),
  };
}

/** @throws LlqError `bad-input` when one of the logits is no number, or none is finite */
export function maximum(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  let isNumber = true;
  for (const logit of logits) {
    if (logit > max) max = logit;
    isNumber &&= !Number.isNaN(logit);
  }
  if (isNumber && Number.isFinite(max)) return max;
  throw badInput("the model gives no numbers", "its weights are damaged, or too large for their type");
}
