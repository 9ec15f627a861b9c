import { LlqError } from "../../../formats/errors.js";
import type { Mamba2Traits } from "../../arch/traits.js";
import { t } from "../../language/t.js";
import { asVector, rowCount, rowLength, type Tensor } from "../../tensor.js";
import { normalize } from "../norm.js";
import { part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan, NormPlan } from "../plan/types.js";
import { exchange, slabMemory } from "../products/matmul.js";
import type { Rows, Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import type { Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { addOutput, advanceStates, convolve, project, recurrent, scanHeads } from "./recurrent.js";
import type { RecurrentShape } from "./state/recurrent-state.js";

/** The tensors of a block of Mamba-2; matrices that a file has fused are parts of one tensor here. */
export interface Mamba2Plan extends MixerPlan {
  readonly kind: "mamba2";
  readonly heads: number;
  /** Heads of a group have the same b and c. */
  readonly groups: number;
  /** Channels of a head. */
  readonly width: number;
  /** Numbers that make up a channel's state. */
  readonly states: number;
  /** What steps are at least, and at most. */
  readonly leastStep: number;
  readonly mostStep: number;
  /** Of the output. */
  readonly gate: Linear;
  /** What is scanned, and how the states of each group are fed and read, below each other. */
  readonly xbc: Linear;
  /** A row for each head. */
  readonly dt: Linear;
  /** [channels, kernel] of x, b and c: every channel for itself. */
  readonly conv: Linear;
  /** [heads], and so the two below. */
  readonly a: Tensor;
  readonly d: Tensor;
  readonly bias: Tensor;
  /** Of the channels of a group; some have none. */
  readonly norm: NormPlan | undefined;
  readonly normsBeforeGate: boolean;
  readonly output: Linear;
}

export const mamba2Mixer: Mixer<Mamba2Traits, Mamba2Plan> = {
  kind: "mamba2",
  plan,
  inputs: ({ gate, xbc, dt, output }) => [
    ["ssm_in", [gate, xbc, dt]],
    ["ssm_out", [output]],
  ],
  memory,
  ...recurrent(stateShape),
  run,
};

/** @throws LlqError `unsupported` for widths that are no multiples of 4 */
function plan({ normsBeforeGate = false }: Mamba2Traits, { find, hparams }: PlanParts): Mamba2Plan {
  const { innerSize: inner, stateSize: states, groupCount: groups, timeStepRank: heads } = hparams.ssm;
  const [input, fed, width] = [find.linear("ssm_in")!, groups * states, inner / heads];
  if (width % 4 !== 0 || fed % 2 !== 0) {
    throw new LlqError("unsupported", t`heads of a state space with ${width} channels, no multiple of 4`);
  }
  return {
    ...{ kind: "mamba2", heads, groups, width, states },
    ...{ leastStep: hparams.ssm.leastStep, mostStep: hparams.ssm.mostStep },
    gate: part(input, 0, inner),
    xbc: part(input, inner, inner + 2 * fed),
    dt: part(input, 2 * (inner + fed), heads),
    conv: find.linear("ssm_conv")!,
    a: asVector(find.tensor("ssm_a")!),
    d: asVector(find.tensor("ssm_d")!),
    bias: find.tensor("ssm_dt_bias")!,
    norm: find.norm("ssm_norm"),
    normsBeforeGate,
    output: find.linear("ssm_out")!,
  };
}

/**
 * x += output(norm(scan(silu(conv(xbc(n)))) × silu(gate(n)))) with n = norm(from): Mamba-2's block (arXiv:2405.21060,
 * figure 6); or with norm(scan(...)) × silu(gate(n)). A thread does its heads.
 */
function run(work: Work, { norm, plan: layer, postNorm }: Half<Mamba2Plan>, from: number, x: number): void {
  const { kernels, weights, batch } = work;
  const tokens = batchTokens(batch);
  const inner = layer.heads * layer.width;
  const own = weights.share(layer.heads);
  const room = (width: number) => kernels.reserve(tokens * width * 4);
  const start = kernels.mark();
  const linears = [layer.gate, layer.xbc, layer.dt] as const;
  const products = linears.map((linear) => [linear, room(rowCount(linear.weight))] as const);
  const [gate, xbc, dt] = products.map(([, y]) => y) as [number, number, number];
  const [convolved, o] = [room(rowCount(layer.xbc.weight)), room(inner)];
  project(work, norm, from, "ssm_in", products);
  exchange(work, tokens, ...products);
  convolve(work, layer.conv, xbc, convolved, ownChannels(layer, own));
  scan(work, layer, { convolved, dt, o }, own);
  const [at, channels] = [own[0] * layer.width, own[1] * layer.width];
  const through = (first: number, count: number) => {
    for (let token = 0; token < tokens; token++) {
      const y = (token * inner + first) * 4;
      kernels.call("silu_mul")(gate + y, o + y, o + y, count);
    }
  };
  // A group's channels may be those of several threads: its norm waits for them.
  const gatesLast = layer.normsBeforeGate && layer.norm !== undefined;
  if (!gatesLast) through(at, channels);
  weights.exchange(kernels, tokens, [{ y: o, width: inner, first: at, count: channels }]);
  if (layer.norm !== undefined) normalize(work, layer.norm, o, o, tokens * layer.groups);
  if (gatesLast) through(0, inner);
  addOutput(work, layer.output, postNorm, o, x, "ssm_out");
  advanceStates(work);
  kernels.reset(start);
}

/** What a thread's heads need: their own channels, and b and c of all groups. */
function ownChannels(layer: Mamba2Plan, [first, count]: Rows): readonly [x: Rows, bc: Rows] {
  const { heads, width, groups, states } = layer;
  return [
    [first * width, count * width],
    [heads * width, 2 * groups * states],
  ];
}

interface Scanned {
  /** x, b and c. */
  readonly convolved: number;
  readonly dt: number;
  readonly o: number;
}

function scan(work: Work, layer: Mamba2Plan, { convolved, dt, o }: Scanned, own: Rows): void {
  const { kernels, weights, batch } = work;
  const { heads, groups, width, states } = layer;
  const mark = kernels.mark();
  const [rates, skips, bias] = [layer.a, layer.d, layer.bias].map((vector) =>
    weights.vector(kernels, vector),
  ) as [number, number, number];
  kernels.call("ssm2_steps")(
    ...([dt, bias, layer.leastStep, layer.mostStep, batchTokens(batch), heads] as const),
  );
  const [row, steps, out] = [rowCount(layer.xbc.weight) * 4, heads * 4, heads * width * 4];
  scanHeads(work, own, states * width, (chunk, head, state) => {
    const token = chunk * batch.context;
    const x = convolved + token * row;
    const b = x + (heads * width + Math.floor((head * groups) / heads) * states) * 4;
    kernels.call("ssm2_scan")(
      ...[x + head * width * 4, b, b + groups * states * 4, row, dt + token * steps + head * 4, steps],
      ...[kernels.floats(rates, heads)[head]!, kernels.floats(skips, heads)[head]!],
      ...[o + token * out + head * width * 4, out, batch.context, width, states, state],
    );
  });
  kernels.reset(mark);
}

/** The state of each head, and the convolution's last inputs of its channels, and of b and c. */
function stateShape(plan: Mamba2Plan, weights: Pick<Weights, "share">): RecurrentShape {
  const own = weights.share(plan.heads);
  const ends = ownChannels(plan, own).map(([, channels]) => (rowLength(plan.conv.weight) - 1) * channels);
  return [own[1] * plan.width * plan.states, ...ends];
}

function memory(plan: Mamba2Plan, { width, tokens, piece }: RunSize): number {
  const { xbc, output, heads, states, conv } = plan;
  const [channels, inner] = [rowCount(xbc.weight), heads * plan.width];
  const products = slabMemory(xbc.weight, piece) + slabMemory(output.weight, piece);
  const small = channels * (rowLength(conv.weight) + 2) + plan.width * states + 3 * heads + inner;
  const all = tokens * (2 * channels + 2 * inner + heads);
  return 4 * (all + small + piece * (inner + 2 * width)) + products;
}
