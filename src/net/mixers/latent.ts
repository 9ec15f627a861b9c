import { LlqError } from "../../../formats/errors.js";
import type { LatentTraits, Temperature } from "../../arch/traits.js";
import { rowCount, rowLength, sliceRows } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { Half, Linear, MixerPlan, NormPlan, RopePlan } from "../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../products/matmul.js";
import { batchTokens } from "../span.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import type { Mixer, PlanParts, RunSize, StateOptions } from "./mixer.js";
import { turn } from "./rope.js";
import { KvCache, type KvShape, kvBytes } from "./state/kv-cache.js";
import { heat } from "./temperature.js";

/** Multi-head latent attention: queries meet the latent itself, and values are made of what they find (absorbed form). */
export interface LatentPlan extends MixerPlan {
  readonly kind: "latent";
  readonly heads: number;
  /** Numbers of the latent. */
  readonly rank: number;
  /** Width of a query: what meets the latent, and the part that RoPE turns. */
  readonly keyLength: number;
  readonly rotary: number;
  readonly valueLength: number;
  /** Queries are made of the hidden state, or of a few numbers, normed. */
  readonly q: Linear;
  readonly qFrom: { readonly a: Linear; readonly norm: NormPlan } | undefined;
  /** The latent, and below it the turned part of a key that all heads share. */
  readonly kv: Linear;
  readonly kvNorm: NormPlan;
  /** Of each head: [rank, key], by which a query comes to the latent, and [value, rank]. */
  readonly keys: readonly Linear[];
  readonly values: readonly Linear[];
  readonly output: Linear;
  readonly rope: RopePlan | undefined;
  readonly scale: number;
  readonly temperature: Temperature | undefined;
  /** Tokens that a text may have. */
  readonly most: number;
}

export const latentMixer: Mixer<LatentTraits, LatentPlan> = {
  kind: "latent",
  plan,
  inputs: ({ q, qFrom, kv, keys, values, output }) => [
    ["attn_norm", [qFrom?.a ?? q, kv]],
    ...(qFrom === undefined ? [] : [["attn_q_b", [q]] as const]),
    ["attn_k_b", keys, keys.length],
    ["attn_v_b", values, values.length],
    ["attn_output", [output]],
  ],
  memory,
  canTruncate: () => true,
  stateBytes: (plan, _, options) => kvBytes(kvShape(plan, options)),
  createState: (kernels, plan, _, options) => new KvCache(kernels, kvShape(plan, options)),
  run,
};

function plan(traits: LatentTraits, { find, hparams, numbers, rope }: PlanParts): LatentPlan {
  const { rank, keyLength, valueLength } = hparams.latent;
  const { headCount: heads, ropeDimensionCount: rotary } = numbers;
  const [a, qNorm] = [find.linear("attn_q_a"), find.norm("attn_q_a_norm")];
  const own = (norm: NormPlan): NormPlan => ({ ...norm, epsilon: traits.epsilon ?? norm.epsilon });
  const ofHeads = ({ weight }: Linear, rows: number): Linear[] =>
    Array.from({ length: heads }, (_, head) => ({
      weight: sliceRows(weight, head * rows, rows, [rows, rowLength(weight)]),
      bias: undefined,
    }));
  return {
    kind: "latent",
    ...{ heads, rank, keyLength, rotary, valueLength },
    q: find.linear("attn_q_b") ?? find.linear("attn_q")!,
    qFrom: a && { a, norm: own(qNorm!) },
    kv: find.linear("attn_kv_a")!,
    kvNorm: own(find.norm("attn_kv_a_norm")!),
    keys: ofHeads(find.linear("attn_k_b")!, rank),
    values: ofHeads(find.linear("attn_v_b")!, valueLength),
    output: find.linear("attn_output")!,
    rope: traits.rope && rope(traits.rope),
    scale: traits.scale ?? 1 / Math.sqrt(keyLength),
    temperature: traits.temperature,
    most: traits.most ?? Number.POSITIVE_INFINITY,
  };
}

/** x += output(values(attention(keys(q), [latent, turned]))), of n = norm(from) (arXiv:2405.04434, appendix C). */
function run(work: Work, { norm, plan: layer, postNorm }: Half<LatentPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const { heads, rank, keyLength, rotary, valueLength } = layer;
  const tokens = batchTokens(batch);
  const [qWidth, kWidth] = [heads * keyLength, rank + rotary];
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  checkLength(work, layer);
  const start = kernels.mark();
  const [q, k, latent] = [room(qWidth), room(kWidth), room(rank)];
  const [absorbed, found] = [room(heads * kWidth), room(heads * rank)];
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "attn_norm");
    makeQueriesAndLatent(work, layer, n, q + first * qWidth * 4, k + first * kWidth * 4, count);
    kernels.reset(mark);
  }
  for (let token = 0; token < tokens; token++) {
    const row = k + token * kWidth * 4;
    normalize(work, layer.kvNorm, row, row, 1);
  }
  const straight = keyLength - rotary;
  turn(work, { rope: layer.rope, keyLength }, q + straight * 4, heads);
  turn(work, { rope: layer.rope, keyLength: kWidth }, k + rank * 4, 1);
  heat(work, layer.temperature, q, qWidth);
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

/** @throws LlqError `unsupported` for texts in which the model would choose among the tokens that a query sees */
function checkLength({ batch: { chunks, context, starts } }: Work, { most }: LatentPlan): void {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const tokens = (starts?.[chunk] ?? 0) + context;
    if (tokens <= most) continue;
    throw new LlqError(
      "unsupported",
      `a text of ${tokens} tokens, of which the model sees ${most} by an index`,
      {
        hint: `--context ${most} and less are evaluated`,
      },
    );
  }
}

function makeQueriesAndLatent(
  work: Work,
  { q, qFrom, kv }: LatentPlan,
  n: number,
  toQ: number,
  toKv: number,
  count: number,
): void {
  const { kernels } = work;
  const first = qFrom?.a ?? q;
  const input = packInput(work, n, count, [first, kv]);
  const y = qFrom === undefined ? toQ : kernels.reserve(count * rowCount(first.weight) * 4);
  multiply(work, first, input, y, "copy_columns");
  multiply(work, kv, input, toKv, "copy_columns");
  exchange(work, count, [first, y], [kv, toKv]);
  if (qFrom === undefined) return;
  normalize(work, qFrom.norm, y, y, count);
  work.squares?.add("attn_q_b", y, count, rowLength(q.weight));
  multiply(work, q, packInput(work, y, count, [q]), toQ, "copy_columns");
  exchange(work, count, [q, toQ]);
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

/** All heads have the same keys and values: the latent. With states, a thread does some of the queries' heads. */
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
        ...([scale, 0, 0, 0, 0, 0, 0, scratch] as const),
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
  if (states === undefined) return;
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
