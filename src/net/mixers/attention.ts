import type { AttentionTraits } from "../../arch/traits.js";
import type { Kernels } from "../../kernels/kernels.js";
import { rowCount, rowLength } from "../../tensor.js";
import { normalize } from "../norm.js";
import { part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan, NormPlan, RopePlan } from "../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../products/matmul.js";
import { ROW_PANEL, type Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import { alibiSlopes } from "./alibi.js";
import type { Had, Mixer, PlanParts, RunSize, StateOptions } from "./mixer.js";
import { turn } from "./rope.js";
import { KvCache, type KvShape, kvBytes, kvCells } from "./state/kv-cache.js";

/** Attention with grouped heads: output(softmax(q kᵀ) v). */
export interface AttentionPlan extends MixerPlan {
  readonly kind: "attention";
  readonly heads: number;
  readonly headsKv: number;
  /** Width of a query or key head, and of a value head. */
  readonly keyLength: number;
  readonly valueLength: number;
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  /** Of each head, or of all heads at once: as long as their weights are. */
  readonly qNorm: NormPlan | undefined;
  readonly kNorm: NormPlan | undefined;
  readonly output: Linear;
  /** Tokens a query sees, itself included; 0 for all. */
  readonly window: number;
  readonly rope: RopePlan | undefined;
  readonly alibiMaxBias: number | undefined;
  readonly scale: number;
  /** Of scores; 0 for none. */
  readonly softcap: number;
  /** Limit of queries, keys and values. */
  readonly clampQkv: number | undefined;
}

export const attentionMixer: Mixer<AttentionTraits, AttentionPlan> = {
  kind: "attention",
  plan,
  inputs: ({ q, k, v, output }) => [
    ["attn_norm", [q, k, v]],
    ["attn_output", [output]],
  ],
  memory,
  canTruncate,
  stateBytes: (plan, weights, options) => kvBytes(kvShape(plan, weights, options)),
  createState: (kernels, plan, weights, options) => new KvCache(kernels, kvShape(plan, weights, options)),
  run,
};

function plan(traits: AttentionTraits, { find, numbers, rope }: PlanParts): AttentionPlan {
  const { headCount: heads, headCountKv: headsKv, keyLength, valueLength } = numbers;
  const fused = find.linear("attn_qkv");
  const [q, k, v] = [heads * keyLength, headsKv * keyLength, headsKv * valueLength];
  return {
    kind: "attention",
    ...{ heads, headsKv, keyLength, valueLength },
    q: find.linear("attn_q") ?? part(fused!, 0, q),
    k: find.linear("attn_k") ?? part(fused!, q, k),
    v: find.linear("attn_v") ?? part(fused!, q + k, v),
    qNorm: find.norm("attn_q_norm"),
    kNorm: find.norm("attn_k_norm"),
    output: find.linear("attn_output")!,
    window: traits.window ?? 0,
    rope: traits.rope && rope(traits.rope),
    alibiMaxBias: traits.alibiMaxBias,
    scale: traits.scale ?? 1 / Math.sqrt(keyLength),
    softcap: traits.softcap ?? 0,
    clampQkv: traits.clampQkv,
  };
}

/** Scores of a block of queries, for each token (attention_scratch). */
const SCORE_FLOATS = 64;

function memory(
  { heads, headsKv, keyLength, valueLength, output }: AttentionPlan,
  { width, tokens, context, piece }: RunSize,
): number {
  const o = keyLength === valueLength ? 0 : heads * valueLength;
  const all = heads * keyLength + headsKv * (keyLength + valueLength) + o;
  const keys = context * (keyLength + valueLength + SCORE_FLOATS);
  const packed = Math.max(width, heads * valueLength);
  const floats = tokens * all + Math.max(piece * (packed + 2 * width), keys);
  return 4 * floats + slabMemory(output.weight, piece);
}

/** x += postNorm(output(attention(q(n), k(n), v(n)))) with n = norm(from) */
function run(work: Work, { norm, plan, postNorm }: Half<AttentionPlan>, from: number, x: number): void {
  const { kernels, batch } = work;
  const { heads, headsKv, keyLength, valueLength } = plan;
  const tokens = batchTokens(batch);
  const [qWidth, kWidth] = [heads * keyLength, headsKv * keyLength];
  const [vWidth, oWidth] = [headsKv * valueLength, heads * valueLength];
  const start = kernels.mark();
  const q = kernels.reserve(tokens * qWidth * 4);
  const k = kernels.reserve(tokens * kWidth * 4);
  const v = kernels.reserve(tokens * vWidth * 4);
  const o = qWidth === oWidth ? q : kernels.reserve(tokens * oWidth * 4);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "attn_norm");
    const input = packInput(work, n, count, [plan.q, plan.k, plan.v]);
    multiply(work, plan.q, input, q + first * qWidth * 4, "copy_columns");
    multiply(work, plan.k, input, k + first * kWidth * 4, "copy_columns");
    multiply(work, plan.v, input, v + first * vWidth * 4, "copy_columns");
    if (!isByHeads(work, plan)) {
      exchange(
        work,
        count,
        [plan.q, q + first * qWidth * 4],
        [plan.k, k + first * kWidth * 4],
        [plan.v, v + first * vWidth * 4],
      );
    }
    kernels.reset(mark);
  }
  clamp(work, plan, q, tokens * qWidth);
  clamp(work, plan, k, tokens * kWidth);
  clamp(work, plan, v, tokens * vWidth);
  normHeads(work, plan.qNorm, q, qWidth);
  normHeads(work, plan.kNorm, k, kWidth);
  turn(work, plan, q, heads);
  turn(work, plan, k, headsKv);
  if (work.states === undefined) attend(work, plan, { q, k, v, o });
  else attendCached(work, plan, { q, k, v, o }, work.states as readonly KvCache[]);
  for (const [first, count] of piecesOf(batch)) {
    const mixed = o + first * oWidth * 4;
    work.squares?.add("attn_output", mixed, count, oWidth);
    addProduct(work, plan.output, postNorm, mixed, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

/** Whether every thread's rows are those of its heads; then no thread needs what others have computed. */
function isByHeads({ weights, states }: Work, plan: AttentionPlan): boolean {
  const { headsKv, keyLength, q, k, v, qNorm, kNorm } = plan;
  const ofHeads = (norm: NormPlan | undefined) => norm === undefined || rowLength(norm.weight) === keyLength;
  const { threads } = weights;
  return (
    states !== undefined &&
    headsKv % threads === 0 &&
    [q, k, v].every(({ weight }) => rowCount(weight) % (threads * ROW_PANEL) === 0) &&
    ofHeads(qNorm) &&
    ofHeads(kNorm)
  );
}

function clamp({ kernels }: Work, { clampQkv }: AttentionPlan, x: number, n: number): void {
  if (clampQkv !== undefined) kernels.call("clamp")(x, n, clampQkv);
}

/** Norms each head, or all of a token's heads together, as long as the norm's weight is. */
function normHeads(work: Work, norm: NormPlan | undefined, x: number, width: number): void {
  if (norm === undefined) return;
  const rows = (batchTokens(work.batch) * width) / rowLength(norm.weight);
  normalize(work, norm, x, x, rows);
}

interface Heads {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
}

/** Each chunk sees itself only. */
function attend({ kernels, batch }: Work, plan: AttentionPlan, { q, k, v, o }: Heads): void {
  const mark = kernels.mark();
  const { heads, headsKv, keyLength, valueLength } = plan;
  const { chunks, context } = batch;
  const scratch = kernels.reserve(kernels.call("attention_scratch")(context, keyLength, valueLength));
  const slopes = placeSlopes(kernels, plan);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = chunk * context * 4;
    kernels.call("attention")(
      q + at * heads * keyLength,
      k + at * headsKv * keyLength,
      v + at * headsKv * valueLength,
      o + at * heads * valueLength,
      context,
      heads,
      headsKv,
      keyLength,
      valueLength,
      plan.scale,
      plan.softcap,
      slopes,
      plan.window,
      batch.prefixes?.[chunk]?.length ?? 0,
      scratch,
    );
  }
  kernels.reset(mark);
}

/** Each sequence sees what its cache holds, the new tokens included. A thread does the heads that it has a cache of. */
function attendCached(
  { kernels, weights, batch }: Work,
  plan: AttentionPlan,
  { q, k, v, o }: Heads,
  caches: readonly KvCache[],
): void {
  const mark = kernels.mark();
  const { heads, headsKv, keyLength, valueLength, scale, softcap: cap } = plan;
  const { chunks, context, prefixes } = batch;
  const group = heads / headsKv;
  const [first, count] = weights.share(headsKv);
  const slopes = placeSlopes(kernels, plan);
  const [qStride, oStride] = [heads * keyLength * 4, heads * valueLength * 4];
  const [kStride, vStride] = [headsKv * keyLength * 4, headsKv * valueLength * 4];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const cache = caches[chunk]!;
    const at = chunk * context;
    const [ownK, ownV] = [first * keyLength * 4, first * valueLength * 4];
    cache.append(k + at * kStride + ownK, kStride, v + at * vStride + ownV, vStride, context);
    const queries = {
      ...{ q: q + at * qStride + group * ownK, qStride },
      ...{ o: o + at * oStride + group * ownV, oStride },
    };
    const prefix = prefixes?.[chunk]?.length ?? 0;
    const ownSlopes = slopes && slopes + first * group * 4;
    cache.attend(queries, context, { group, scale, cap, slopes: ownSlopes, prefix });
  }
  kernels.reset(mark);
  const width = group * valueLength;
  const part = { y: o, width: heads * valueLength, first: first * width, count: count * width };
  weights.exchange(kernels, chunks * context, [part]);
}

/** ALiBi's slopes, where there are any. The memory is the caller's to give back. */
function placeSlopes(kernels: Kernels, { heads, alibiMaxBias }: AttentionPlan): number {
  if (alibiMaxBias === undefined) return 0;
  const slopes = kernels.reserve(heads * 4);
  kernels.floats(slopes, heads).set(alibiSlopes(heads, alibiMaxBias));
  return slopes;
}

/** A ring has lost what later tokens took the places of. */
function canTruncate(plan: AttentionPlan, options: StateOptions, { most }: Had, length: number): boolean {
  if (plan.window === 0) return true;
  const lost = most - kvCells(kvShape(plan, WHOLE, options));
  return Math.max(0, length - plan.window + 1) >= lost;
}

const WHOLE: Pick<Weights, "share"> = { share: (units) => [0, units] };

function kvShape(
  { headsKv, keyLength, valueLength, window }: AttentionPlan,
  weights: Pick<Weights, "share">,
  { capacity, batch, kvType: type }: StateOptions,
): KvShape {
  return { type, heads: weights.share(headsKv)[1], keyLength, valueLength, capacity, window, batch };
}
