import type { Positions } from "../../arch/architecture.js";
import { rowLength } from "../../tensor.js";
import { addProduct, normed, piecesOf, type Work } from "../block.js";
import { normalize } from "../norm.js";
import type { NormPlan, TransformerPlan } from "../plan/decoder.js";
import { multiply, packInput } from "../products/matmul.js";
import { spanTokens } from "../span.js";
import { alibiSlopes } from "./alibi.js";
import { prefixPlaces } from "./prefix.js";

/** x += output(attention(q(n), k(n), v(n))) with n = norm(from); `from` and x are [tokens][width]. */
export function addAttention(work: Work<TransformerPlan>, from: number, x: number): void {
  const { kernels, hparams, layer, span } = work;
  const { norm, q: toQ, k: toK, v: toV, qNorm, kNorm, output, postNorm } = layer.attention;
  const { headCount, headCountKv, keyLength, valueLength } = hparams;
  const tokens = spanTokens(span);
  const [qWidth, kWidth] = [headCount * keyLength, headCountKv * keyLength];
  const [vWidth, oWidth] = [headCountKv * valueLength, headCount * valueLength];
  const start = kernels.mark();
  const q = kernels.reserve(tokens * qWidth * 4);
  const k = kernels.reserve(tokens * kWidth * 4);
  const v = kernels.reserve(tokens * vWidth * 4);
  const o = qWidth === oWidth ? q : kernels.reserve(tokens * oWidth * 4);
  const mark = kernels.mark();
  for (const [first, count] of piecesOf(span)) {
    const n = normed(work, norm, from + first * span.width * 4, count, "attn_norm");
    const input = packInput(work, n, count, [toQ, toK, toV]);
    multiply(work, toQ, input, q + first * qWidth * 4, "copy_columns");
    multiply(work, toK, input, k + first * kWidth * 4, "copy_columns");
    multiply(work, toV, input, v + first * vWidth * 4, "copy_columns");
    kernels.reset(mark);
  }
  clamp(work, q, tokens * qWidth);
  clamp(work, k, tokens * kWidth);
  clamp(work, v, tokens * vWidth);
  normHeads(work, qNorm, q, qWidth);
  normHeads(work, kNorm, k, kWidth);
  turn(work, q, headCount);
  turn(work, k, headCountKv);
  attend(work, { q, k, v, o });
  for (const [first, count] of piecesOf(span)) {
    const heads = o + first * oWidth * 4;
    work.squares?.add("attn_output", heads, count, oWidth);
    addProduct(work, output, postNorm, heads, x + first * span.width * 4, count);
    kernels.reset(mark);
  }
  kernels.reset(start);
}

function clamp({ kernels, traits }: Work, x: number, n: number): void {
  if (traits.clampQkv !== undefined) kernels.call("clamp")(x, n, traits.clampQkv);
}

/** Norms each head, or all of a token's heads together, as long as the norm's weight is. */
function normHeads(work: Work, norm: NormPlan | undefined, x: number, width: number): void {
  if (norm === undefined) return;
  const rows = (spanTokens(work.span) * width) / rowLength(norm.weight);
  normalize(work, norm, x, x, rows);
}

/** Floats from the first of a pair to the first of the next, and between the two of a pair. */
const PAIRS: Readonly<Partial<Record<Positions, (pairs: number) => [step: number, distance: number]>>> = {
  neighbours: () => [2, 1],
  halves: (pairs) => [1, pairs],
};

/** Gives the heads at `x` their positions, where RoPE does. */
function turn(work: Work, x: number, heads: number): void {
  const { kernels, hparams, traits, rope, span } = work;
  if (traits.positions === "prefixAndRest") turnHalves(work, x, heads);
  const layout = PAIRS[traits.positions];
  if (rope === undefined || layout === undefined) return;
  const mark = kernels.mark();
  const { keyLength, ropeDimensionCount } = hparams;
  const pairs = ropeDimensionCount / 2;
  const table = kernels.reserve(rope.byteLength);
  kernels.floats(table, rope.byteLength / 4).set(new Float32Array(rope));
  const [step, distance] = layout(pairs);
  const { chunks, context } = span;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = x + chunk * context * heads * keyLength * 4;
    kernels.call("rope")(at, table, context, heads, keyLength, pairs, step, distance);
  }
  kernels.reset(mark);
}

/** Each half of a head by a place of its own. */
function turnHalves({ kernels, hparams, rope, span }: Work, x: number, heads: number): void {
  const { keyLength, ropeDimensionCount } = hparams;
  const pairs = ropeDimensionCount / 2;
  const { chunks, context, prefixes } = span;
  const angles = new Float32Array(rope!);
  const mark = kernels.mark();
  const table = kernels.reserve(context * pairs * 8);
  const own = kernels.floats(table, context * pairs * 2);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const places = prefixPlaces(prefixes![chunk]!, context);
    for (const half of [0, 1] as const) {
      for (const [i, place] of places.entries()) {
        own.set(angles.subarray(place[half] * pairs * 2, (place[half] + 1) * pairs * 2), i * pairs * 2);
      }
      const at = x + (chunk * context * heads * keyLength + half * ropeDimensionCount) * 4;
      kernels.call("rope")(at, table, context, heads, keyLength, pairs, 1, pairs);
    }
  }
  kernels.reset(mark);
}

interface Heads {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
}

/** Each chunk sees itself only. */
function attend(
  { kernels, hparams, traits, layer, span }: Work<TransformerPlan>,
  { q, k, v, o }: Heads,
): void {
  const mark = kernels.mark();
  const { headCount, headCountKv, keyLength, valueLength } = hparams;
  const { chunks, context } = span;
  const scratch = kernels.reserve(kernels.call("attention_scratch")(context, keyLength, valueLength));
  let slopes = 0;
  if (traits.positions === "alibi") {
    slopes = kernels.reserve(headCount * 4);
    kernels.floats(slopes, headCount).set(alibiSlopes(headCount, traits.alibiMaxBias ?? 0));
  }
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = chunk * context * 4;
    kernels.call("attention")(
      q + at * headCount * keyLength,
      k + at * headCountKv * keyLength,
      v + at * headCountKv * valueLength,
      o + at * headCount * valueLength,
      context,
      headCount,
      headCountKv,
      keyLength,
      valueLength,
      traits.attentionScale ?? 1 / Math.sqrt(keyLength),
      traits.attentionSoftcap ?? 0,
      slopes,
      layer.attention.window,
      span.prefixes?.[chunk]?.length ?? 0,
      scratch,
    );
  }
  kernels.reset(mark);
}
