import type { AttentionTraits, Temperature } from "../../../arch/traits.js";
import type { BlockMatrix } from "../../../role.js";
import { rowLength, type Tensor, takeRows } from "../../../tensor.js";
import { bareNorm, type Finder, part } from "../../plan/finder.js";
import type { Linear, MixerPlan, NormPlan, RopePlan } from "../../plan/types.js";
import type { PlanParts } from "../mixer.js";

/** Attention with grouped heads: output(softmax(q kᵀ) v). */
export interface AttentionPlan extends MixerPlan {
  readonly kind: "attention";
  readonly heads: number;
  readonly headsKv: number;
  /** Width of a query or key head, and of a value head. */
  readonly keyLength: number;
  readonly valueLength: number;
  readonly q: Linear;
  /** Absent where keys and values are those of another layer (`stateOf`). */
  readonly k: Linear | undefined;
  /** Absent too where values are the keys, as they are before their norm and RoPE. */
  readonly v: Linear | undefined;
  /** Of each head, or of all heads at once: as long as their weights are. */
  readonly qNorm: NormPlan | undefined;
  readonly kNorm: NormPlan | undefined;
  readonly vNorm: NormPlan | undefined;
  /** Queries and keys are normed when RoPE has turned them. */
  readonly normsAfterRope: boolean;
  /** What heads give is multiplied by the sigmoid of this, or the like: number by number, or each head by one number. */
  readonly gate: Linear | undefined;
  readonly gating: "sigmoid" | "softplus";
  /** Of what all heads give together. */
  readonly subNorm: NormPlan | undefined;
  readonly output: Linear;
  /** Tokens a query sees, itself included; 0 for all. */
  readonly window: number;
  /** Windows begin at multiples of their length. */
  readonly chunked: boolean;
  readonly rope: RopePlan | undefined;
  readonly alibiMaxBias: number | undefined;
  /** [heads]: a score without a value. */
  readonly sinks: Tensor | undefined;
  readonly temperature: Temperature | undefined;
  readonly valueScale: number | undefined;
  readonly scale: number;
  /** Of scores; 0 for none. */
  readonly softcap: number;
  /** Limit of queries, keys and values. */
  readonly clampQkv: number | undefined;
  readonly clampsNormed: boolean;
}

export function planAttention(
  traits: AttentionTraits,
  { find, hparams, numbers, rope }: PlanParts,
): AttentionPlan {
  const { headCount: heads, headCountKv: headsKv, keyLength, valueLength, keysOf: stateOf } = numbers;
  const { bareNorms = [], queryGate = false } = traits;
  const bare = (of: "q" | "k" | "v", length: number) =>
    bareNorms.includes(of) ? bareNorm(length, { kind: "rms", epsilon: hparams.normEpsilon }) : undefined;
  const all = qkv(find, [heads * keyLength, headsKv * keyLength, headsKv * valueLength]);
  const matrices = stateOf === undefined ? all : { q: all.q, k: undefined, v: undefined };
  const byHead = (first: number) => everyHead(matrices.q, heads, [first, keyLength]);
  return {
    kind: "attention",
    ...{ heads, headsKv, keyLength, valueLength, stateOf },
    ...matrices,
    ...(queryGate && { q: byHead(0) }),
    qNorm: find.norm("attn_q_norm") ?? bare("q", keyLength),
    kNorm: find.norm("attn_k_norm") ?? bare("k", keyLength),
    vNorm: bare("v", valueLength),
    normsAfterRope: traits.normsAfterRope ?? false,
    gate: queryGate ? byHead(keyLength) : find.linear("attn_gate"),
    gating: traits.gating ?? "sigmoid",
    subNorm: find.norm("attn_sub_norm"),
    output: find.linear("attn_output")!,
    window: traits.window ?? 0,
    chunked: traits.chunked ?? false,
    rope: traits.rope && rope(traits.rope),
    alibiMaxBias: traits.alibiMaxBias,
    sinks: find.tensor("attn_sinks"),
    temperature: traits.temperature,
    valueScale: traits.valueScale,
    scale: traits.scale ?? 1 / Math.sqrt(keyLength),
    softcap: traits.softcap ?? 0,
    clampQkv: traits.clampQkv,
    clampsNormed: traits.clampsNormed ?? false,
  };
}

/** The matrices, or the parts of the one that a file has in their place: so many rows of each, below each other. */
function qkv(
  find: Finder,
  [q, k, v]: readonly [number, number, number],
): Pick<AttentionPlan, "q" | "k" | "v"> {
  const fused = find.linear("attn_qkv");
  const own = (role: BlockMatrix, first: number, rows: number) =>
    find.linear(role) ?? (fused && part(fused, first, rows));
  return { q: own("attn_q", 0, q)!, k: own("attn_k", q, k)!, v: own("attn_v", q + k, v) };
}

/** The same rows of each head's. */
function everyHead(
  { weight, bias }: Linear,
  heads: number,
  [first, count]: readonly [number, number],
): Linear {
  const rows = (tensor: Tensor, all: number) => {
    const stride = all / heads;
    return takeRows(
      tensor,
      Array.from({ length: heads }, (_, head) => [head * stride + first, count] as const),
    );
  };
  return { weight: rows(weight, weight.shape[0]!), bias: bias && rows(bias, rowLength(bias)) };
}
