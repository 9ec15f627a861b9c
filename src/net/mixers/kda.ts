import { LlqError } from "../../../formats/errors.js";
import type { MixerTraits } from "../../arch/traits.js";
import { t } from "../../language/t.js";
import { asVector, rowCount, rowLength, type Tensor } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import { piecesOf, type Work } from "../work.js";
import { LENGTH_EPSILON } from "./delta-net.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { addOutput, advanceStates, convolve, project, recurrent, scanHeads } from "./recurrent.js";
import type { RecurrentShape } from "./state/recurrent-state.js";

/** Kimi delta attention: a delta net that forgets channel by channel. */
export interface KdaPlan extends MixerPlan {
  readonly kind: "kda";
  readonly heads: number;
  /** Of queries, keys and values alike. */
  readonly width: number;
  /** [heads × width, ...], each with a convolution [heads × width, kernel] of its own: every channel for itself. */
  readonly qkv: readonly Convolved[];
  /** A row for each head: how much it learns. */
  readonly beta: Linear;
  /** By way of a few numbers, how much channels forget, and the gate of the output. */
  readonly forget: LowRank;
  readonly gate: LowRank;
  /** [heads], and of channels. */
  readonly a: Tensor;
  readonly bias: Tensor;
  /** Of a head. */
  readonly norm: NormPlan;
  readonly output: Linear;
}

interface Convolved {
  readonly linear: Linear;
  readonly conv: Linear;
}

/** y = b(a(x)) */
interface LowRank {
  readonly a: Linear;
  readonly b: Linear;
}

export const kdaMixer: Mixer<MixerTraits & { kind: "kda" }, KdaPlan> = {
  kind: "kda",
  plan,
  inputs: ({ qkv, beta, forget, gate, output }) => [
    ["attn_norm", [...qkv.map(({ linear }) => linear), beta, forget.a, gate.a]],
    ["ssm_f_b", [forget.b]],
    ["ssm_g_b", [gate.b]],
    ["attn_output", [output]],
  ],
  memory,
  ...recurrent(stateShape),
  run,
};

/** @throws LlqError `unsupported` for heads whose width is no multiple of 4 */
function plan(_: MixerTraits, { find, hparams }: PlanParts): KdaPlan {
  const { stateSize: width, timeStepRank: heads } = hparams.ssm;
  if (width % 4 !== 0) {
    throw new LlqError("unsupported", t`heads of a delta net with ${width} channels, no multiple of 4`);
  }
  return {
    ...{ kind: "kda", heads, width },
    qkv: (["q", "k", "v"] as const).map((part) => ({
      linear: find.linear(`attn_${part}`)!,
      conv: find.linear(`ssm_conv_${part}`)!,
    })),
    beta: find.linear("ssm_beta")!,
    forget: { a: find.linear("ssm_f_a")!, b: find.linear("ssm_f_b")! },
    gate: { a: find.linear("ssm_g_a")!, b: find.linear("ssm_g_b")! },
    a: asVector(find.tensor("ssm_a")!),
    bias: find.tensor("ssm_dt_bias")!,
    norm: find.norm("ssm_norm")!,
    output: find.linear("attn_output")!,
  };
}

/**
 * x += output(norm(scan(q, k, v)) × σ(gate(n))), q, k and v being silu(conv(linear(n))) and n norm(from): Kimi delta
 * attention (arXiv:2510.26692, equations 9 and 10). A thread does its heads.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<KdaPlan>, from: number, x: number): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  const { heads, width } = layer;
  const inner = heads * width;
  const own = weights.share(heads);
  const room = (floats: number) => kernels.reserve(tokens * floats * 4);
  const start = kernels.mark();
  const made = layer.qkv.map(() => room(inner));
  const [beta, decay, gate, o] = [room(heads), room(inner), room(inner), room(inner)];
  const convolved = layer.qkv.map(() => room(inner)) as [number, number, number];
  const [toForget, toGate] = [layer.forget, layer.gate].map(({ a }) => room(rowCount(a.weight)));
  const products = [
    ...layer.qkv.map(({ linear }, i) => [linear, made[i]!] as const),
    [layer.beta, beta] as const,
    [layer.forget.a, toForget!] as const,
    [layer.gate.a, toGate!] as const,
  ];
  project(work, norm, from, "attn_norm", products);
  exchange(work, tokens, ...products);
  widen(work, layer.forget.b, toForget!, decay, "ssm_f_b");
  widen(work, layer.gate.b, toGate!, gate, "ssm_g_b");
  const [first, count] = [own[0] * width, own[1] * width];
  for (const [i, { conv }] of layer.qkv.entries()) {
    convolve(work, conv, made[i]!, convolved[i]!, [[first, count]], i + 1);
  }
  scan(work, layer, { convolved, decay, beta, o }, own);
  for (let token = 0; token < tokens; token++) {
    const y = o + (token * inner + first) * 4;
    normalize(work, layer.norm, y, y, own[1]);
  }
  const [gates, outputs] = [gate + first * 4, o + first * 4];
  kernels.call("sigmoid_gate")(gates, inner * 4, outputs, inner * 4, tokens, count, 1);
  weights.exchange(kernels, tokens, [{ y: o, width: inner, first, count }]);
  addOutput(work, layer.output, postNorm, o, x, "attn_output");
  advanceStates(work);
  kernels.reset(start);
}

/** y = linear(from), of all threads' rows. */
function widen(work: Work, linear: Linear, from: number, y: number, input: string): void {
  const { kernels, batch } = work;
  const mark = kernels.mark();
  const [columns, rows] = [rowLength(linear.weight), rowCount(linear.weight)];
  for (const [first, count] of piecesOf(batch)) {
    const at = from + first * columns * 4;
    work.squares?.add(input, at, count, columns);
    multiply(work, linear, packInput(work, at, count, [linear]), y + first * rows * 4, "copy_columns");
    kernels.reset(mark);
  }
  exchange(work, batchTokens(batch), [linear, y]);
}

interface Scanned {
  /** Queries, keys and values. */
  readonly convolved: readonly [number, number, number];
  readonly decay: number;
  readonly beta: number;
  readonly o: number;
}

function scan(work: Work, layer: KdaPlan, { convolved, decay, beta, o }: Scanned, own: Rows): void {
  const { kernels, weights, batch } = work;
  const { heads, width } = layer;
  const [first, count] = own;
  const row = heads * width * 4;
  const mark = kernels.mark();
  const [rate, bias] = [weights.vector(kernels, layer.a), weights.vector(kernels, layer.bias)];
  kernels.call("kda_gates")(
    ...([decay + first * width * 4, row, beta + first * 4, heads * 4] as const),
    ...([bias + first * width * 4, rate + first * 4, batchTokens(batch), count, width] as const),
  );
  normLengths(work, layer, convolved, own);
  scanHeads(work, own, width * width, (chunk, head, state) => {
    const token = chunk * batch.context;
    const at = token * row + head * width * 4;
    const [q, k, v] = convolved;
    kernels.call("kda_scan")(
      ...([q + at, k + at, v + at, decay + at, o + at, row] as const),
      ...([beta + (token * heads + head) * 4, heads * 4, batch.context, width, width, state] as const),
    );
  });
  kernels.reset(mark);
}

/** Queries become 1 / √width long, keys 1. */
function normLengths(
  { kernels, batch }: Work,
  { heads, width: n }: KdaPlan,
  [q, k]: Scanned["convolved"],
  [first, count]: Rows,
): void {
  const mark = kernels.mark();
  // With weights of 1 / √n the root of the mean square is the length.
  for (const [x, weight] of [[q, 1 / n] as const, [k, 1 / Math.sqrt(n)] as const]) {
    const weights = kernels.reserve(n * 4);
    kernels.floats(weights, n).fill(weight);
    for (let token = 0; token < batchTokens(batch); token++) {
      const at = x + (token * heads + first) * n * 4;
      kernels.call("rms_norm")(at, weights, at, count, n, LENGTH_EPSILON / n);
    }
  }
  kernels.reset(mark);
}

/** The state of each head, and the last inputs of the convolutions of queries, keys and values. */
function stateShape({ heads, width, qkv }: KdaPlan, weights: Pick<Weights, "share">): RecurrentShape {
  const [, own] = weights.share(heads);
  return [own * width * width, ...qkv.map(({ conv }) => (rowLength(conv.weight) - 1) * own * width)];
}

function memory(plan: KdaPlan, { width, tokens, piece }: RunSize): number {
  const { heads, qkv, forget, gate, output } = plan;
  const inner = heads * plan.width;
  const ranks = rowCount(forget.a.weight) + rowCount(gate.a.weight);
  const products = slabMemory(qkv[0]!.linear.weight, piece) + slabMemory(output.weight, piece);
  const small = inner * (rowLength(qkv[0]!.conv.weight) + 3) + plan.width * (plan.width + 2) + heads;
  const all = tokens * (9 * inner + heads + ranks);
  return 4 * (all + small + piece * (inner + 2 * width)) + products;
}
