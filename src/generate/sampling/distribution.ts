import { badInput } from "../../../formats/errors.js";
import { t } from "../../language/t.js";
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
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - max);
  const logprobOf = (id: number) => logits[id]! - max - Math.log(sum);
  const places = count === 0 ? new Int32Array() : inOrder(largest(logits, logits.length, count), logits);
  return {
    logprob: logprobOf(token),
    top: Array.from(places, (id) => ({ token: id, logprob: logprobOf(id) })),
  };
}

/** @throws LlqError `bad-input` when one of the logits is no number, or none is finite */
export function maximum(logits: Float32Array): number {
  return logits[likeliest(logits)]!;
}

/** The token of the highest logit; of equals the lowest id. @throws LlqError as maximum */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  let isNumber = true;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > logits[best]!) best = id;
    else if (Number.isNaN(logit)) isNumber = false;
  }
  if (isNumber && Number.isFinite(logits[best])) return best;
  throw badInput(t`the model gives no numbers`, t`its weights are damaged, or too large for their type`);
}
