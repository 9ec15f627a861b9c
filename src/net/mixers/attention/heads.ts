import { rowCount, rowLength } from "../../../tensor.js";
import { normalize } from "../../norm.js";
import type { NormPlan } from "../../plan/types.js";
import { batchTokens } from "../../span.js";
import type { Work } from "../../work.js";
import { turn } from "../rope.js";
import { heat } from "../temperature.js";
import type { AttentionPlan } from "./plan.js";

/** Where queries, keys, values, what is made of them and what that is multiplied by are, [tokens][width] each. */
export interface Heads {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
  /** 0 without. */
  readonly gate: number;
}

/** Numbers of a token. */
export function widthsOf({ heads, headsKv, keyLength, valueLength, gate }: AttentionPlan) {
  return {
    q: heads * keyLength,
    k: headsKv * keyLength,
    v: headsKv * valueLength,
    o: heads * valueLength,
    gate: gate === undefined ? 0 : rowCount(gate.weight),
  };
}

/** From what the matrices give to queries, keys and values that may meet: norms, RoPE, and all that a family may add. */
export function finishHeads(work: Work, plan: AttentionPlan, { q, k, v }: Heads): void {
  const { kernels, batch } = work;
  const { heads, headsKv, normsAfterRope, clampsNormed, stateOf } = plan;
  const tokens = batchTokens(batch);
  const width = widthsOf(plan);
  // What is another layer's has been through all of it.
  const isOwn = stateOf === undefined;
  if (isOwn && plan.v === undefined) {
    const bytes = tokens * width.k * 4;
    kernels.bytes(v, bytes).set(kernels.bytes(k, bytes));
  }
  const clamps = () => {
    clamp(work, plan, q, tokens * width.q);
    if (!isOwn) return;
    clamp(work, plan, k, tokens * width.k);
    clamp(work, plan, v, tokens * width.v);
  };
  const norms = () => {
    normHeads(work, plan.qNorm, q, width.q);
    if (isOwn) normHeads(work, plan.kNorm, k, width.k);
  };
  if (!clampsNormed) clamps();
  if (!normsAfterRope) norms();
  if (clampsNormed) clamps();
  turn(work, plan, q, heads);
  if (isOwn) turn(work, plan, k, headsKv);
  if (normsAfterRope) norms();
  heat(work, plan.temperature, q, width.q);
  if (!isOwn) return;
  normHeads(work, plan.vNorm, v, width.v);
  if (plan.valueScale !== undefined) kernels.call("scale")(v, tokens * width.v, plan.valueScale);
}

function clamp({ kernels }: Work, { clampQkv }: AttentionPlan, x: number, n: number): void {
  if (clampQkv !== undefined) kernels.call("clamp")(x, n, clampQkv);
}

/** Norms each head, or all of a token's heads together, as long as the norm's weight is. */
function normHeads(work: Work, norm: NormPlan | undefined, x: number, width: number): void {
  if (norm === undefined) return;
  const tokens = batchTokens(work.batch);
  const { length = rowLength(norm.weight) } = norm;
  const rows = (tokens * width) / length;
  normalize(work, norm, x, x, rows);
}

/** Multiplies the columns `first` to `first + count` of what heads give by their gates. */
export function gateHeads(
  { kernels, batch }: Work,
  plan: AttentionPlan,
  { o, gate }: Heads,
  [first, count]: readonly [number, number],
): void {
  if (plan.gate === undefined) return;
  const width = widthsOf(plan);
  const each = width.o / width.gate;
  const [gates, columns] = [gate + (first / each) * 4, o + first * 4];
  kernels.call(plan.gating === "softplus" ? "softplus_gate" : "sigmoid_gate")(
    ...([gates, width.gate * 4, columns, width.o * 4] as const),
    ...([batchTokens(batch), count / each, each] as const),
  );
}
