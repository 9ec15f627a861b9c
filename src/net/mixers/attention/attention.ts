import type { AttentionTraits } from "../../../arch/traits.js";
import { rowCount, rowLength } from "../../../tensor.js";
import { normalize } from "../../norm.js";
import type { Half, Linear, NormPlan } from "../../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../../products/matmul.js";
import { ROW_PANEL } from "../../products/weights.js";
import { batchTokens } from "../../span.js";
import { addProduct, normed, piecesOf, type Work } from "../../work.js";
import type { Mixer, RunSize } from "../mixer.js";
import { KvCache, kvBytes } from "../state/kv-cache.js";
import { attendCached, canTruncate, kvShape } from "./cached.js";
import { finishHeads, type Heads, widthsOf } from "./heads.js";
import { type AttentionPlan, planAttention } from "./plan.js";
import { attendWhole, SCORE_FLOATS } from "./whole.js";

export const attentionMixer: Mixer<AttentionTraits, AttentionPlan> = {
  kind: "attention",
  plan: planAttention,
  inputs: (plan) => [
    ["attn_norm", projections(plan)],
    ["attn_output", [plan.output]],
  ],
  kept: ({ headsKv, keyLength, valueLength }) => [headsKv * keyLength, headsKv * valueLength],
  memory,
  canTruncate,
  stateBytes: (plan, weights, options) => kvBytes(kvShape(plan, weights, options)),
  createState: (kernels, plan, weights, options) => new KvCache(kernels, kvShape(plan, weights, options)),
  run,
};

/** What is computed of the layer's input. */
function projections({ q, k, v, gate }: AttentionPlan): Linear[] {
  return [q, k, v, gate].filter((each) => each !== undefined);
}

function memory(plan: AttentionPlan, { width, tokens, context, piece }: RunSize): number {
  const { keyLength, valueLength, output } = plan;
  const { q, k, v, o, gate } = widthsOf(plan);
  const all = q + k + v + (q === o ? 0 : o) + gate;
  const keys = context * (keyLength + valueLength + SCORE_FLOATS);
  const packed = Math.max(width, o);
  const floats = tokens * all + Math.max(piece * (packed + 2 * width), keys);
  return 4 * floats + slabMemory(output.weight, piece);
}

/** x += postNorm(output(attention(q(n), k(n), v(n)))) with n = norm(from) */
function run(work: Work, { norm, plan, postNorm }: Half<AttentionPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const tokens = batchTokens(batch);
  const width = widthsOf(plan);
  const start = kernels.mark();
  const room = (floats: number) => kernels.reserve(tokens * floats * 4);
  const q = room(width.q);
  const [k, v] = (work.kept ?? (isShared(plan) ? [0, 0] : [room(width.k), room(width.v)])) as [
    number,
    number,
  ];
  const o = width.q === width.o ? q : room(width.o);
  const heads = { q, k, v, o, gate: plan.gate === undefined ? 0 : room(width.gate) };
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "attn_norm");
    project(work, plan, n, heads, first, count);
    kernels.reset(mark);
  }
  finishHeads(work, plan, heads);
  if (work.states === undefined) attendWhole(work, plan, heads);
  else attendCached(work, plan, heads, work.states as readonly KvCache[]);
  for (const [first, count] of piecesOf(batch)) {
    const mixed = o + first * width.o * 4;
    if (plan.subNorm !== undefined) normalize(work, plan.subNorm, mixed, mixed, count);
    work.squares?.add("attn_output", mixed, count, width.o);
    addProduct(work, plan.output, postNorm, mixed, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

/** Queries, keys, values and gates of `count` tokens of n, the first of which is the batch's token `first`. */
function project(
  work: Work,
  plan: AttentionPlan,
  n: number,
  { q, k, v, gate }: Heads,
  first: number,
  count: number,
): void {
  const places = [
    [plan.q, q],
    [plan.k, k],
    [plan.v, v],
    [plan.gate, gate],
  ] as const;
  const products = places.flatMap(([linear, at]): [Linear, number][] =>
    linear === undefined ? [] : [[linear, at + first * rowCount(linear.weight) * 4]],
  );
  const linears = products.map(([linear]) => linear);
  const input = packInput(work, n, count, linears);
  for (const [linear, y] of products) multiply(work, linear, input, y, "copy_columns");
  if (!isByHeads(work, plan, linears)) exchange(work, count, ...products);
}

/** Whether keys and values are another layer's. */
function isShared({ stateOf }: AttentionPlan): boolean {
  return stateOf !== undefined;
}

/** Whether every thread's rows are those of its heads; then no thread needs what others have computed. */
function isByHeads(
  { weights, kept }: Work,
  { headsKv, keyLength, qNorm, kNorm }: AttentionPlan,
  linears: readonly Linear[],
): boolean {
  const ofHeads = (norm: NormPlan | undefined) => norm === undefined || rowLength(norm.weight) === keyLength;
  const { threads } = weights;
  return (
    kept === undefined && // another layer's threads read all of what is kept
    headsKv % threads === 0 &&
    linears.every(({ weight }) => rowCount(weight) % (threads * ROW_PANEL) === 0) &&
    ofHeads(qNorm) &&
    ofHeads(kNorm)
  );
}
