import type { Kernels } from "../../../kernels/kernels.js";
import type { Weights } from "../../products/weights.js";
import type { Work } from "../../work.js";
import type { Had, StateOptions } from "../mixer.js";
import {
  type Attending,
  KvCache,
  type KvShape,
  kvCells,
  type Queries,
  sharedCells,
} from "../state/kv-cache.js";
import { placeOfHeads } from "./alibi.js";
import { gateHeads, type Heads, widthsOf } from "./heads.js";
import type { AttentionPlan } from "./plan.js";

/** Each sequence sees what its cache holds, the new tokens included. A thread does the heads that it has a cache of. */
export function attendCached(
  work: Work,
  plan: AttentionPlan,
  { q, k, v, o, gate }: Heads,
  caches: readonly KvCache[],
): void {
  const { kernels, weights, batch } = work;
  const mark = kernels.mark();
  const { headsKv, keyLength, valueLength, scale, softcap: cap, chunked } = plan;
  const { chunks, context, prefixes, begun = 0 } = batch;
  const width = widthsOf(plan);
  const group = plan.heads / headsKv;
  const [first, count] = weights.share(headsKv);
  const { slopes, sinks } = placeOfHeads(work, plan);
  const [qStride, kStride, vStride, oStride] = [width.q * 4, width.k * 4, width.v * 4, width.o * 4];
  const [ownK, ownV] = [first * keyLength * 4, first * valueLength * 4];
  const own = (floats: number) => floats && floats + first * group * 4;
  const attending = { group, scale, cap, chunked, slopes: own(slopes), sinks: own(sinks) };
  const queriesAt = (at: number): Queries => ({
    ...{ q: q + at * qStride + group * ownK, qStride },
    ...{ o: o + at * oStride + group * ownV, oStride },
  });
  if (plan.stateOf === undefined) {
    for (const [chunk, cache] of caches.entries()) {
      const at = chunk * context;
      cache.append(k + at * kStride + ownK, kStride, v + at * vStride + ownV, vStride, context);
    }
  }
  const shared =
    context === 1 && count > 0 && prefixes === undefined ? sharedCells(caches, attending, kernels, begun) : 0;
  if (shared > 0) KvCache.attendTogether(caches, shared, queriesAt(0), attending);
  else {
    for (const [chunk, cache] of caches.entries()) {
      const prefix = prefixes?.[chunk]?.length ?? 0;
      attendWhere(kernels, cache, queriesAt(chunk * context), context, { ...attending, prefix });
    }
  }
  kernels.reset(mark);
  const columns = [first * group * valueLength, count * group * valueLength] as const;
  gateHeads(work, plan, { q, k, v, o, gate }, columns);
  const part = { y: o, width: width.o, first: columns[0], count: columns[1] };
  weights.exchange(kernels, chunks * context, [part]);
}

/** Attends in the memory that the cache is in: that of another layer's weights may be another. */
function attendWhere(
  here: Kernels,
  cache: KvCache,
  queries: Queries,
  tokens: number,
  attending: Attending,
): void {
  const there = cache.kernels;
  if (here === there) {
    cache.attend(queries, tokens, attending);
    return;
  }
  const { heads, keyLength, valueLength } = cache.shape;
  const all = heads * attending.group;
  const mark = there.mark();
  const carry = (from: number, floats: number) => {
    if (from === 0) return 0;
    const to = there.reserve(floats * 4);
    there.floats(to, floats).set(here.floats(from, floats));
    return to;
  };
  const [qWidth, oWidth] = [all * keyLength, all * valueLength];
  const q = there.reserve(tokens * qWidth * 4);
  const o = there.reserve(tokens * oWidth * 4);
  const [slopes, sinks] = [carry(attending.slopes ?? 0, all), carry(attending.sinks ?? 0, all)];
  for (let i = 0; i < tokens; i++) {
    there.floats(q + i * qWidth * 4, qWidth).set(here.floats(queries.q + i * queries.qStride, qWidth));
  }
  const moved = { q, qStride: qWidth * 4, o, oStride: oWidth * 4 };
  cache.attend(moved, tokens, { ...attending, slopes, sinks });
  for (let i = 0; i < tokens; i++) {
    here.floats(queries.o + i * queries.oStride, oWidth).set(there.floats(o + i * oWidth * 4, oWidth));
  }
  there.reset(mark);
}

/** A ring has lost what later tokens took the places of. */
export function canTruncate(
  plan: AttentionPlan,
  options: StateOptions,
  { most }: Had,
  length: number,
): boolean {
  if (plan.window === 0) return true;
  const lost = most - kvCells(kvShape(plan, WHOLE, options));
  return Math.max(0, length - plan.window + 1) >= lost;
}

const WHOLE: Pick<Weights, "share"> = { share: (units) => [0, units] };

export function kvShape(
  { headsKv, keyLength, valueLength, window }: AttentionPlan,
  weights: Pick<Weights, "share">,
  { capacity, batch, kvType: type }: StateOptions,
): KvShape {
  return { type, heads: weights.share(headsKv)[1], keyLength, valueLength, capacity, window, batch };
}
