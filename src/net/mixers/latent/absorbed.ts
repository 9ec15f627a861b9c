import type { LatentTraits } from "../../../arch/traits.js";
import { rowCount, rowLength, sliceRows } from "../../../tensor.js";
import type { Half, Linear } from "../../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../../products/matmul.js";
import { batchTokens } from "../../span.js";
import { addProduct, piecesOf, type Work } from "../../work.js";
import type { Mixer, PlanParts, RunSize, StateOptions } from "../mixer.js";
import { KvCache, type KvShape, kvBytes } from "../state/kv-cache.js";
import { inputsOf, type LatentParts, makeQueriesAndLatent, planParts } from "./shared.js";

/** Multi-head latent attention: queries meet the latent itself, and values are made of what they find (absorbed form). */
export interface LatentPlan extends LatentParts {
  readonly kind: "latent";
  /** Of each head: [rank, key], by which a query comes to the latent, and [value, rank]. */
  readonly keys: readonly Linear[];
  readonly values: readonly Linear[];
}

export const latentMixer: Mixer<LatentTraits, LatentPlan> = {
  kind: "latent",
  plan,
  inputs: (plan) => [
    ...inputsOf(plan),
    ["attn_k_b", plan.keys, plan.keys.length],
    ["attn_v_b", plan.values, plan.values.length],
    ["attn_output", [plan.output]],
  ],
  memory,
  canTruncate: () => true,
  stateBytes: (plan, _, options) => kvBytes(kvShape(plan, options)),
  createState: (kernels, plan, _, options) => new KvCache(kernels, kvShape(plan, options)),
  run,
};

function plan(traits: LatentTraits, parts: PlanParts): LatentPlan {
  const { find, hparams, numbers } = parts;
  const { rank, valueLength } = hparams.latent;
  const ofHeads = ({ weight }: Linear, rows: number): Linear[] =>
    Array.from({ length: numbers.headCount }, (_, head) => ({
      weight: sliceRows(weight, head * rows, rows, [rows, rowLength(weight)]),
      bias: undefined,
    }));
  return {
    ...planParts("latent", traits, parts),
    keys: ofHeads(find.linear("attn_k_b")!, rank),
    values: ofHeads(find.linear("attn_v_b")!, valueLength),
  };
}

/** x += output(values(attention(keys(q), [latent, turned]))), of n = norm(from) (arXiv:2405.04434, appendix C). */
function run(work: Work, { norm, plan: layer, postNorm }: Half<LatentPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const { heads, rank, keyLength, rotary, valueLength } = layer;
  const tokens = batchTokens(batch);
  const [qWidth, kWidth] = [heads * keyLength, rank + rotary];
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const [q, k, latent] = [room(qWidth), room(kWidth), room(rank)];
  const [absorbed, found] = [room(heads * kWidth), room(heads * rank)];
  const mark = kernels.mark();
  makeQueriesAndLatent(work, layer, norm, from, { q, k });
  const straight = keyLength - rotary;
  kernels.call("copy_columns")(k, kWidth * 4, latent, rank * 4, tokens, rank);
  for (const [first, count] of piecesOf(batch)) {
    const [own, to] = [q + first * qWidth * 4, absorbed + first * heads * kWidth * 4];
    const part = { at: own, stride: qWidth, each: keyLength, width: straight };
    eachHead(work, layer.keys, part, { at: to, each: kWidth, first }, count, "attn_k_b");
    for (let head = 0; head < heads; head++) {
      const turned = own + (head * keyLength + straight) * 4;
      const place = to + (head * kWidth + rank) * 4;
      kernels.call("copy_columns")(turned, qWidth * 4, place, heads * kWidth * 4, count, rotary);
    }
    kernels.reset(mark);
  }
  attend(work, layer, { q: absorbed, k, v: latent, o: found });
  const values = room(heads * valueLength);
  const end = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const y = values + first * heads * valueLength * 4;
    const part = { at: found + first * heads * rank * 4, stride: heads * rank, each: rank, width: rank };
    eachHead(work, layer.values, part, { at: y, each: valueLength, first }, count, "attn_v_b");
    work.squares?.add("attn_output", y, count, heads * valueLength);
    addProduct(work, layer.output, postNorm, y, x + first * batch.width * 4, count);
    kernels.reset(end);
  }
  kernels.reset(start);
}

/** Columns of rows that are `stride` floats apart: `width` of each head's `each`. */
interface HeadColumns {
  readonly at: number;
  readonly stride: number;
  readonly each: number;
  readonly width: number;
}

/** Multiplies each head's columns with a matrix of its own: to rows in which each head has `to.each` floats. */
function eachHead(
  work: Work,
  linears: readonly Linear[],
  from: HeadColumns,
  to: { readonly at: number; readonly each: number; readonly first: number },
  count: number,
  input: string,
): void {
  const { kernels } = work;
  const copy = kernels.call("copy_columns");
  const row = linears.length * to.each * 4;
  const tokens = Array.from({ length: count }, (_, i) => to.first + i);
  const products = linears.map((linear, head) => {
    const y = kernels.reserve(count * rowCount(linear.weight) * 4);
    const mark = kernels.mark();
    const own = kernels.reserve(count * from.width * 4);
    copy(from.at + head * from.each * 4, from.stride * 4, own, from.width * 4, count, from.width);
    work.squares?.addExpert(input, own, tokens, from.width, head, linears.length);
    multiply(work, linear, packInput(work, own, count, [linear]), y, "copy_columns");
    kernels.reset(mark);
    return [linear, y] as const;
  });
  exchange(work, count, ...products);
  for (const [head, [{ weight }, y]] of products.entries()) {
    const rows = rowCount(weight);
    copy(y, rows * 4, to.at + head * to.each * 4, row, count, rows);
  }
}

interface Addresses {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
}

/** All heads have the same keys and values: the latent. A thread does some of the queries' heads. */
function attend(work: Work, layer: LatentPlan, { q, k, v, o }: Addresses): void {
  const { kernels, weights, batch, states } = work;
  const { heads, rank, rotary, scale } = layer;
  const { chunks, context } = batch;
  const kWidth = rank + rotary;
  const mark = kernels.mark();
  const [first, group] = weights.share(heads);
  const scratch =
    states === undefined ? kernels.reserve(kernels.call("attention_scratch")(context, kWidth, rank)) : 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = chunk * context * 4;
    const [ownQ, ownO] = [q + at * heads * kWidth, o + at * heads * rank];
    if (states === undefined) {
      kernels.call("attention")(
        ...([ownQ, k + at * kWidth, v + at * rank, ownO, context, heads, 1, kWidth, rank] as const),
        ...([scale, 0, 0, 0, 0, 0, 0, scratch, first, group] as const),
      );
      continue;
    }
    const cache = states[chunk] as KvCache;
    cache.append(k + at * kWidth, kWidth * 4, v + at * rank, rank * 4, context);
    if (group === 0) continue;
    const queries = {
      ...{ q: ownQ + first * kWidth * 4, qStride: heads * kWidth * 4 },
      ...{ o: ownO + first * rank * 4, oStride: heads * rank * 4 },
    };
    cache.attend(queries, context, { group, scale });
  }
  kernels.reset(mark);
  const part = { y: o, width: heads * rank, first: first * rank, count: group * rank };
  weights.exchange(kernels, chunks * context, [part]);
}

/** Every thread has all of the latent: its heads need no less. */
function kvShape({ rank, rotary }: LatentPlan, { capacity, batch, kvType: type }: StateOptions): KvShape {
  return { type, heads: 1, keyLength: rank + rotary, valueLength: rank, capacity, window: 0, batch };
}

function memory(plan: LatentPlan, { width, tokens, context, piece }: RunSize): number {
  const { heads, rank, rotary, keyLength, valueLength, q, qFrom, output } = plan;
  const kWidth = rank + rotary;
  const all = heads * (keyLength + kWidth + rank + valueLength) + kWidth + rank;
  const queries = qFrom === undefined ? 0 : 2 * rowCount(qFrom.a.weight);
  const products = heads * Math.max(rank, valueLength) + 2 * Math.max(rank, keyLength);
  const scores = context * (kWidth + rank + 64);
  const pieces = piece * (products + queries + 2 * width + heads * valueLength);
  return (
    4 * (tokens * all + Math.max(pieces, scores)) +
    slabMemory(output.weight, piece) +
    slabMemory(q.weight, piece)
  );
}
