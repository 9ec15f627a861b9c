import type { DeltaNetTraits } from "../../arch/traits.js";
import { rowCount, rowLength, type Tensor, takeRows } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, slabMemory } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import type { Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { addOutput, advanceStates, convolve, project, recurrent, scanHeads } from "./recurrent.js";
import type { RecurrentShape } from "./state/recurrent-state.js";

/** The tensors of a gated delta net, and how many heads of what width. */
export interface DeltaNetPlan extends MixerPlan {
  readonly kind: "delta-net";
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyLength: number;
  readonly valueLength: number;
  /** Of which key head a value head takes keys and queries. */
  readonly keyOf: DeltaNetTraits["keyOf"];
  /** Queries, keys and values below each other. */
  readonly qkv: Linear;
  /** Of the output. */
  readonly gate: Linear;
  /** A row for each value head: how much it learns, and how much it forgets. */
  readonly beta: Linear;
  readonly alpha: Linear;
  /** [channels, kernel] of queries, keys and values: every channel for itself. */
  readonly conv: Linear;
  /** [value heads] */
  readonly a: Tensor;
  readonly bias: Tensor;
  /** Of a value head. */
  readonly norm: NormPlan;
  readonly output: Linear;
}

export const deltaNetMixer: Mixer<DeltaNetTraits, DeltaNetPlan> = {
  kind: "delta-net",
  plan,
  inputs: ({ qkv, gate, beta, alpha, output }) => [
    ["attn_norm", [qkv, gate, beta, alpha]],
    ["ssm_out", [output]],
  ],
  memory,
  ...recurrent(stateShape),
  run,
};

function plan({ keyOf }: DeltaNetTraits, { find, hparams }: PlanParts): DeltaNetPlan {
  const { innerSize, stateSize, groupCount, timeStepRank } = hparams.ssm;
  const both = find.linear("ssm_ba");
  return {
    kind: "delta-net",
    keyHeads: groupCount,
    valueHeads: timeStepRank,
    keyLength: stateSize,
    valueLength: innerSize / timeStepRank,
    keyOf,
    qkv: find.linear("attn_qkv")!,
    gate: find.linear("attn_gate")!,
    beta: find.linear("ssm_beta") ?? ofEach(both!, groupCount, timeStepRank, 0),
    alpha: find.linear("ssm_alpha") ?? ofEach(both!, groupCount, timeStepRank, 1),
    conv: find.linear("ssm_conv")!,
    a: find.tensor("ssm_a")!,
    bias: find.tensor("ssm_dt_bias")!,
    norm: find.norm("ssm_norm")!,
    output: find.linear("ssm_out")!,
  };
}

/** Of a matrix with two rows for each value head, by key heads, the first or the second ones. */
function ofEach({ weight }: Linear, keyHeads: number, valueHeads: number, index: 0 | 1): Linear {
  const each = valueHeads / keyHeads;
  const runs = Array.from({ length: keyHeads }, (_, i) => [(2 * i + index) * each, each] as const);
  return { weight: takeRows(weight, runs), bias: undefined };
}

/** The epsilon of the lengths that queries and keys are divided by, Σx² + ε. */
export const LENGTH_EPSILON = 1e-6;

/**
 * x += output(norm(scan(silu(conv(qkv(n))))) × silu(gate(n))) with n = norm(from): the gated delta net of
 * arXiv:2412.06464 as Qwen3-Next has it. A thread does its value heads.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<DeltaNetPlan>, from: number, x: number): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  const { valueHeads, valueLength } = layer;
  const [channels, inner] = [rowCount(layer.qkv.weight), valueHeads * valueLength];
  const own = weights.share(valueHeads);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const [qkv, gate, alpha, beta] = [room(channels), room(inner), room(valueHeads), room(valueHeads)];
  const [convolved, o] = [room(channels), room(inner)];
  const products = [
    [layer.qkv, qkv],
    [layer.gate, gate],
    [layer.alpha, alpha],
    [layer.beta, beta],
  ] as const;
  project(work, norm, from, "attn_norm", products);
  exchange(work, tokens, ...products);
  convolve(work, layer.conv, qkv, convolved, ownChannels(layer, own));
  scan(work, layer, { convolved, alpha, beta, o }, own);
  const [first, count] = own;
  const at = first * valueLength;
  for (let token = 0; token < tokens; token++) {
    const y = o + (token * inner + at) * 4;
    normalize(work, layer.norm, y, y, count);
    kernels.call("silu_mul")(gate + (token * inner + at) * 4, y, y, count * valueLength);
  }
  weights.exchange(kernels, tokens, [{ y: o, width: inner, first: at, count: count * valueLength }]);
  addOutput(work, layer.output, postNorm, o, x, "ssm_out");
  advanceStates(work);
  kernels.reset(start);
}

/** What a thread's value heads need: queries and keys of all heads, and their own values. */
function ownChannels(layer: DeltaNetPlan, [first, count]: Rows): readonly [keys: Rows, values: Rows] {
  const keys = 2 * layer.keyHeads * layer.keyLength;
  return [
    [0, keys],
    [keys + first * layer.valueLength, count * layer.valueLength],
  ];
}

interface Scanned {
  /** Queries, keys and values. */
  readonly convolved: number;
  readonly alpha: number;
  readonly beta: number;
  readonly o: number;
}

function scan(work: Work, layer: DeltaNetPlan, { convolved, alpha, beta, o }: Scanned, own: Rows): void {
  const { kernels, weights, batch } = work;
  const { keyHeads, valueHeads, keyLength, valueLength, keyOf } = layer;
  const tokens = batchTokens(batch);
  const channels = rowCount(layer.qkv.weight);
  const mark = kernels.mark();
  const [rate, bias] = [weights.vector(kernels, layer.a), weights.vector(kernels, layer.bias)];
  kernels.call("delta_gates")(alpha, beta, bias, rate, alpha, beta, tokens, valueHeads);
  normLengths(work, layer, convolved);
  const [row, gates, out] = [channels * 4, valueHeads * 4, valueHeads * valueLength * 4];
  const [keysAt, valuesAt] = [keyHeads * keyLength, 2 * keyHeads * keyLength];
  scanHeads(work, own, keyLength * valueLength, (chunk, head, state) => {
    const token = chunk * batch.context;
    const keyHead = keyOf === "tiled" ? head % keyHeads : Math.floor(head / (valueHeads / keyHeads));
    const x = convolved + token * row;
    const q = x + keyHead * keyLength * 4;
    const v = x + (valuesAt + head * valueLength) * 4;
    const gate = (token * valueHeads + head) * 4;
    kernels.call("delta_scan")(
      ...[q, q + keysAt * 4, v, row, alpha + gate, beta + gate, gates],
      ...[o + token * out + head * valueLength * 4, out, batch.context, keyLength, valueLength, state],
    );
  });
  kernels.reset(mark);
}

/** Queries become 1 / √(key length) long, keys 1. */
function normLengths({ kernels, batch }: Work, layer: DeltaNetPlan, convolved: number): void {
  const { keyHeads, keyLength: n } = layer;
  const mark = kernels.mark();
  // With weights of 1 / √n the root of the mean square is the length.
  const [queries, keys] = [1 / n, 1 / Math.sqrt(n)].map((weight) => {
    const address = kernels.reserve(n * 4);
    kernels.floats(address, n).fill(weight);
    return address;
  }) as [number, number];
  const row = rowCount(layer.qkv.weight) * 4;
  for (let token = 0; token < batchTokens(batch); token++) {
    const q = convolved + token * row;
    const k = q + keyHeads * n * 4;
    kernels.call("rms_norm")(q, queries, q, keyHeads, n, LENGTH_EPSILON / n);
    kernels.call("rms_norm")(k, keys, k, keyHeads, n, LENGTH_EPSILON / n);
  }
  kernels.reset(mark);
}

/** The state of each value head, and the convolution's last inputs of queries and keys, and of values. */
function stateShape(plan: DeltaNetPlan, weights: Pick<Weights, "share">): RecurrentShape {
  const own = weights.share(plan.valueHeads);
  const ends = ownChannels(plan, own).map(([, channels]) => (rowLength(plan.conv.weight) - 1) * channels);
  return [own[1] * plan.keyLength * plan.valueLength, ...ends];
}

function memory(plan: DeltaNetPlan, { width, tokens, piece }: RunSize): number {
  const { qkv, output, valueHeads, valueLength, keyLength, conv } = plan;
  const [channels, inner] = [rowCount(qkv.weight), valueHeads * valueLength];
  const products = slabMemory(qkv.weight, piece) + slabMemory(output.weight, piece);
  const small = channels * (rowLength(conv.weight) + 2) + keyLength * (valueLength + 2);
  const all = tokens * (2 * channels + 2 * inner + 2 * valueHeads);
  return 4 * (all + small + piece * (channels + 2 * inner + 2 * width)) + products;
}
