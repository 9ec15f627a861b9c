import type { ExpandedLatentTraits } from "../../../arch/traits.js";
import { rowCount } from "../../../tensor.js";
import type { Half, Linear } from "../../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../../products/matmul.js";
import type { Weights } from "../../products/weights.js";
import { batchTokens } from "../../span.js";
import { addProduct, piecesOf, type Work } from "../../work.js";
import type { Mixer, RunSize, StateOptions } from "../mixer.js";
import { KvCache, type KvShape, kvBytes } from "../state/kv-cache.js";
import { inputsOf, type LatentParts, makeQueriesAndLatent, planParts } from "./shared.js";

/** Multi-head latent attention whose keys and values are made of the latent for every head, and kept. */
export interface ExpandedLatentPlan extends LatentParts {
  readonly kind: "latent-expanded";
  /** Of each head the rows of its keys, and below them those of its values: [heads × (key + value), rank]. */
  readonly keysValues: Linear;
}

export const expandedLatentMixer: Mixer<ExpandedLatentTraits, ExpandedLatentPlan> = {
  kind: "latent-expanded",
  plan: (traits, parts) => ({
    ...planParts("latent-expanded", traits, parts),
    keysValues: parts.find.linear("attn_kv_b")!,
  }),
  inputs: (plan) => [...inputsOf(plan), ["attn_kv_b", [plan.keysValues]], ["attn_output", [plan.output]]],
  memory,
  canTruncate: () => true,
  stateBytes: (plan, weights, options) => kvBytes(kvShape(plan, weights, options)),
  createState: (kernels, plan, weights, options) => new KvCache(kernels, kvShape(plan, weights, options)),
  run,
};

/** x += output(attention(q, [keys(latent), turned], values(latent))), of n = norm(from) (arXiv:2405.04434, section 2.1). */
function run(
  work: Work,
  { norm, plan: layer, postNorm }: Half<ExpandedLatentPlan>,
  from: number,
  x: number,
): void {
  const { kernels, batch } = work;
  const { heads, rank, keyLength, rotary, valueLength, keysValues } = layer;
  const copy = kernels.call("copy_columns");
  const tokens = batchTokens(batch);
  const [straight, lWidth] = [keyLength - rotary, rank + rotary];
  const each = straight + valueLength;
  const [kWidth, vWidth] = [heads * keyLength, heads * valueLength];
  const start = kernels.mark();
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const [q, latent, k, v, o] = [room(kWidth), room(lWidth), room(kWidth), room(vWidth), room(vWidth)];
  makeQueriesAndLatent(work, layer, norm, from, { q, k: latent });
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const at = latent + first * lWidth * 4;
    const [own, kv] = [kernels.reserve(count * rank * 4), kernels.reserve(count * heads * each * 4)];
    copy(at, lWidth * 4, own, rank * 4, count, rank);
    work.squares?.add("attn_kv_b", own, count, rank);
    multiply(work, keysValues, packInput(work, own, count, [keysValues]), kv, "copy_columns");
    exchange(work, count, [keysValues, kv]);
    for (let head = 0; head < heads; head++) {
      const made = kv + head * each * 4;
      const toK = k + (first * kWidth + head * keyLength) * 4;
      const toV = v + (first * vWidth + head * valueLength) * 4;
      copy(made, heads * each * 4, toK, kWidth * 4, count, straight);
      copy(at + rank * 4, lWidth * 4, toK + straight * 4, kWidth * 4, count, rotary);
      copy(made + straight * 4, heads * each * 4, toV, vWidth * 4, count, valueLength);
    }
    kernels.reset(mark);
  }
  attend(work, layer, { q, k, v, o });
  for (const [first, count] of piecesOf(batch)) {
    const y = o + first * vWidth * 4;
    work.squares?.add("attn_output", y, count, vWidth);
    addProduct(work, layer.output, postNorm, y, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

interface Addresses {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
}

/** A thread does some of the heads; with states, those that it has a cache of. */
function attend(work: Work, layer: ExpandedLatentPlan, { q, k, v, o }: Addresses): void {
  const { kernels, weights, batch, states } = work;
  const { heads, keyLength, valueLength, scale } = layer;
  const { chunks, context } = batch;
  const [kWidth, vWidth] = [heads * keyLength, heads * valueLength];
  const mark = kernels.mark();
  const [first, own] = weights.share(heads);
  const scratch =
    states === undefined
      ? kernels.reserve(kernels.call("attention_scratch")(context, keyLength, valueLength))
      : 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const [ofK, ofV] = [chunk * context * kWidth * 4, chunk * context * vWidth * 4];
    if (states === undefined) {
      kernels.call("attention")(
        ...([q + ofK, k + ofK, v + ofV, o + ofV, context, heads, heads, keyLength, valueLength] as const),
        ...([scale, 0, 0, 0, 0, 0, 0, scratch, first, own] as const),
      );
      continue;
    }
    const cache = states[chunk] as KvCache;
    const [ownK, ownV] = [ofK + first * keyLength * 4, ofV + first * valueLength * 4];
    cache.append(k + ownK, kWidth * 4, v + ownV, vWidth * 4, context);
    const queries = { q: q + ownK, qStride: kWidth * 4, o: o + ownV, oStride: vWidth * 4 };
    cache.attend(queries, context, { group: 1, scale });
  }
  kernels.reset(mark);
  const part = { y: o, width: vWidth, first: first * valueLength, count: own * valueLength };
  weights.exchange(kernels, chunks * context, [part]);
}

function kvShape(
  { heads, keyLength, valueLength }: ExpandedLatentPlan,
  weights: Pick<Weights, "share">,
  { capacity, batch, kvType: type }: StateOptions,
): KvShape {
  return { type, heads: weights.share(heads)[1], keyLength, valueLength, capacity, window: 0, batch };
}

function memory(plan: ExpandedLatentPlan, { width, tokens, context, piece }: RunSize): number {
  const { heads, rank, rotary, keyLength, valueLength, q, qFrom, keysValues, output } = plan;
  const all = heads * 2 * (keyLength + valueLength) + rank + rotary;
  const queries = qFrom === undefined ? 0 : 2 * rowCount(qFrom.a.weight);
  const made = 2 * rank + rowCount(keysValues.weight);
  const pieces = piece * (Math.max(queries, made) + 2 * width + heads * valueLength);
  const scores = context * (keyLength + valueLength + 64);
  return (
    4 * (tokens * all + Math.max(pieces, scores)) +
    Math.max(slabMemory(output.weight, piece), slabMemory(keysValues.weight, piece)) +
    slabMemory(q.weight, piece)
  );
}
