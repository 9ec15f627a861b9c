import type { DeltaNetTraits } from "../../arch/traits.js";
import { rowCount, rowLength, type Tensor, takeRows } from "../../tensor.js";
import { normalize } from "../norm.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, multiply, packInput, slabMemory } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import { addProduct, normed, piecesOf, type Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { type RecurrentShape, RecurrentState, recurrentBytes } from "./state/recurrent-state.js";

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
  readonly conv: Tensor;
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
  canTruncate: (_, __, had, length) => length === had.length,
  stateBytes: (plan, weights) => recurrentBytes(stateShape(plan, weights)),
  createState: (kernels, plan, weights) => new RecurrentState(kernels, stateShape(plan, weights)),
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
    conv: find.tensor("ssm_conv")!,
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
const LENGTH_EPSILON = 1e-6;

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
  const mark = kernels.mark();
  const products = [
    [layer.qkv, qkv],
    [layer.gate, gate],
    [layer.alpha, alpha],
    [layer.beta, beta],
  ] as const;
  const linears = products.map(([linear]) => linear);
  for (const [first, count] of piecesOf(batch)) {
    const n = normed(work, norm, from + first * batch.width * 4, count, "attn_norm");
    const input = packInput(work, n, count, linears);
    const parts = products.map(([linear, y]) => {
      const at = y + first * rowCount(linear.weight) * 4;
      multiply(work, linear, input, at, "copy_columns");
      return [linear, at] as const;
    });
    exchange(work, count, ...parts);
    kernels.reset(mark);
  }
  convolve(work, layer, qkv, convolved, own);
  scan(work, layer, { convolved, alpha, beta, o }, own);
  const [first, count] = own;
  const at = first * valueLength;
  for (let token = 0; token < tokens; token++) {
    const y = o + (token * inner + at) * 4;
    normalize(work, layer.norm, y, y, count);
    kernels.call("silu_mul")(gate + (token * inner + at) * 4, y, y, count * valueLength);
  }
  weights.exchange(kernels, tokens, [{ y: o, width: inner, first: at, count: count * valueLength }]);
  for (const [first, count] of piecesOf(batch)) {
    const y = o + first * inner * 4;
    work.squares?.add("ssm_out", y, count, inner);
    addProduct(work, layer.output, postNorm, y, x + first * batch.width * 4, count);
    kernels.reset(mark);
  }
  for (const state of statesOf(work) ?? []) state.advance(batch.context);
  kernels.reset(start);
}

function statesOf({ states }: Work): readonly RecurrentState[] | undefined {
  return states as readonly RecurrentState[] | undefined;
}

/** What a thread's value heads need: queries and keys of all heads, and their own values. */
function ownChannels(layer: DeltaNetPlan, [first, count]: Rows): readonly [keys: Rows, values: Rows] {
  const keys = 2 * layer.keyHeads * layer.keyLength;
  return [
    [0, keys],
    [keys + first * layer.valueLength, count * layer.valueLength],
  ];
}

/** to[t] = silu(conv(from)), both [tokens][channels], of the channels that the heads need. */
function convolve(work: Work, layer: DeltaNetPlan, from: number, to: number, own: Rows): void {
  const { kernels, weights, batch } = work;
  const mark = kernels.mark();
  const [row, kernel] = [rowCount(layer.conv) * 4, rowLength(layer.conv)];
  const weight = weights.transposed(kernels, layer.conv);
  const bias = kernels.reserve(row);
  kernels.bytes(bias, row).fill(0);
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    for (const [i, [first, channels]] of ownChannels(layer, own).entries()) {
      const at = chunk * batch.context * row + first * 4;
      const state = statesOf(work)?.[chunk]?.parts[1 + i] ?? 0;
      kernels.call("ssm_conv")(
        ...[from + at, row, weight + first * 4, row, bias, to + at, row],
        ...[batch.context, channels, kernel, state],
      );
    }
  }
  kernels.reset(mark);
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
  const fresh = kernels.reserve(keyLength * valueLength * 4);
  const [firstHead, heads] = own;
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const token = chunk * batch.context;
    const kept = statesOf(work)?.[chunk]?.parts[0];
    for (let i = 0; i < heads; i++) {
      const head = firstHead + i;
      const keyHead = keyOf === "tiled" ? head % keyHeads : Math.floor(head / (valueHeads / keyHeads));
      const x = convolved + token * row;
      const q = x + keyHead * keyLength * 4;
      const v = x + (valuesAt + head * valueLength) * 4;
      if (kept === undefined) kernels.bytes(fresh, keyLength * valueLength * 4).fill(0);
      const state = kept === undefined ? fresh : kept + i * keyLength * valueLength * 4;
      const gate = (token * valueHeads + head) * 4;
      kernels.call("delta_scan")(
        ...[q, q + keysAt * 4, v, row, alpha + gate, beta + gate, gates],
        ...[o + token * out + head * valueLength * 4, out, batch.context, keyLength, valueLength, state],
      );
    }
  }
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
  const ends = ownChannels(plan, own).map(([, channels]) => (rowLength(plan.conv) - 1) * channels);
  return [own[1] * plan.keyLength * plan.valueLength, ...ends];
}

function memory(plan: DeltaNetPlan, { width, tokens, piece }: RunSize): number {
  const { qkv, output, valueHeads, valueLength, keyLength, conv } = plan;
  const [channels, inner] = [rowCount(qkv.weight), valueHeads * valueLength];
  const products = slabMemory(qkv.weight, piece) + slabMemory(output.weight, piece);
  const small = channels * (rowLength(conv) + 2) + keyLength * (valueLength + 2);
  const all = tokens * (2 * channels + 2 * inner + 2 * valueHeads);
  return 4 * (all + small + piece * (channels + 2 * inner + 2 * width)) + products;
}
