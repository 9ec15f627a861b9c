import { LlqError } from "../../../../formats/errors.js";
import type { LatentTraits, Temperature } from "../../../arch/traits.js";
import { t } from "../../../language/t.js";
import { rowCount, rowLength } from "../../../tensor.js";
import { normalize } from "../../norm.js";
import type { Linear, MixerPlan, NormPlan, RopePlan } from "../../plan/types.js";
import { exchange, multiply, packInput } from "../../products/matmul.js";
import { batchTokens } from "../../span.js";
import { normed, piecesOf, type Work } from "../../work.js";
import type { PlanParts } from "../mixer.js";
import { turn } from "../rope.js";
import { heat } from "../temperature.js";

// What both forms of latent attention begin with.

export interface LatentParts extends MixerPlan {
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
  readonly output: Linear;
  readonly rope: RopePlan | undefined;
  readonly scale: number;
  readonly temperature: Temperature | undefined;
  /** Tokens that a text may have. */
  readonly most: number;
}

export function planParts<K extends string>(
  kind: K,
  traits: Omit<LatentTraits, "kind">,
  { find, hparams, numbers, rope }: PlanParts,
): LatentParts & { readonly kind: K } {
  const { rank, keyLength, valueLength } = hparams.latent;
  const { headCount: heads, ropeDimensionCount: rotary } = numbers;
  const [a, qNorm] = [find.linear("attn_q_a"), find.norm("attn_q_a_norm")];
  const own = (norm: NormPlan): NormPlan => ({ ...norm, epsilon: traits.epsilon ?? norm.epsilon });
  return {
    kind,
    ...{ heads, rank, keyLength, rotary, valueLength },
    q: find.linear("attn_q_b") ?? find.linear("attn_q")!,
    qFrom: a && { a, norm: own(qNorm!) },
    kv: find.linear("attn_kv_a")!,
    kvNorm: own(find.norm("attn_kv_a_norm")!),
    output: find.linear("attn_output")!,
    rope: traits.rope && rope(traits.rope),
    scale: traits.scale ?? 1 / Math.sqrt(keyLength),
    temperature: traits.temperature,
    most: traits.most ?? Number.POSITIVE_INFINITY,
  };
}

/** The matrices by the inputs that they take, those of keys and values not among them. */
export function inputsOf({ q, qFrom, kv }: LatentParts): (readonly [string, readonly Linear[]])[] {
  return [["attn_norm", [qFrom?.a ?? q, kv]], ...(qFrom === undefined ? [] : [["attn_q_b", [q]] as const])];
}

/** Queries [tokens][heads × keyLength] and the normed latent with what is beside it [tokens][rank + rotary], both turned. */
export function makeQueriesAndLatent(
  work: Work,
  layer: LatentParts,
  norm: NormPlan | undefined,
  from: number,
  { q, k }: { readonly q: number; readonly k: number },
): void {
  const { kernels, batch } = work;
  const { heads, rank, keyLength, rotary } = layer;
  const [qWidth, kWidth] = [heads * keyLength, rank + rotary];
  checkLength(work, layer);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "attn_norm");
    project(work, layer, n, q + first * qWidth * 4, k + first * kWidth * 4, count);
    kernels.reset(mark);
  }
  for (let token = 0; token < batchTokens(batch); token++) {
    const row = k + token * kWidth * 4;
    normalize(work, layer.kvNorm, row, row, 1);
  }
  turn(work, { rope: layer.rope, keyLength }, q + (keyLength - rotary) * 4, heads);
  turn(work, { rope: layer.rope, keyLength: kWidth }, k + rank * 4, 1);
  heat(work, layer.temperature, q, qWidth);
}

/** @throws LlqError `unsupported` for texts in which the model would choose among the tokens that a query sees */
function checkLength({ batch: { chunks, context, starts } }: Work, { most }: LatentParts): void {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const tokens = (starts?.[chunk] ?? 0) + context;
    if (tokens <= most) continue;
    throw new LlqError(
      "unsupported",
      t`a text of ${tokens} tokens, of which the model sees ${most} by an index`,
      {
        hint: t`--context ${most} and less are evaluated`,
      },
    );
  }
}

function project(
  work: Work,
  { q, qFrom, kv }: LatentParts,
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
