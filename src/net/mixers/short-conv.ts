import type { MixerTraits } from "../../arch/traits.js";
import { rowCount, rowLength } from "../../tensor.js";
import { part } from "../plan/finder.js";
import type { Half, Linear, MixerPlan } from "../plan/types.js";
import { exchange, ownRows, slabMemory } from "../products/matmul.js";
import { shareOfRows, type Weights } from "../products/weights.js";
import { batchTokens } from "../span.js";
import type { Work } from "../work.js";
import type { Mixer, PlanParts, RunSize } from "./mixer.js";
import { addOutput, advanceStates, project, recurrent, statePart } from "./recurrent.js";
import type { RecurrentShape } from "./state/recurrent-state.js";

/** The tensors of a short convolution; the three that a file has fused are parts of one tensor here. */
export interface ShortConvPlan extends MixerPlan {
  readonly kind: "short-conv";
  /** Of what goes into the convolution, and of what comes out. */
  readonly before: Linear;
  readonly after: Linear;
  readonly x: Linear;
  /** [channels, kernel]: every channel for itself. */
  readonly conv: Linear;
  readonly output: Linear;
}

export const shortConvMixer: Mixer<MixerTraits & { kind: "short-conv" }, ShortConvPlan> = {
  kind: "short-conv",
  plan,
  inputs: ({ before, after, x, output }) => [
    ["shortconv_in", [before, after, x]],
    ["shortconv_out", [output]],
  ],
  memory,
  ...recurrent(stateShape),
  run,
};

function plan(_: MixerTraits, { find }: PlanParts): ShortConvPlan {
  const [input, conv] = [find.linear("shortconv_in")!, find.linear("shortconv_conv")!];
  const channels = rowCount(conv.weight);
  return {
    kind: "short-conv",
    before: part(input, 0, channels),
    after: part(input, channels, channels),
    x: part(input, 2 * channels, channels),
    conv,
    output: find.linear("shortconv_out")!,
  };
}

/**
 * x += output(after(n) × conv(before(n) × x(n))) with n = norm(from), as LFM2 has it. A thread does the channels that are
 * its rows of x.
 */
function run(
  work: Work,
  { norm, plan: layer, postNorm }: Half<ShortConvPlan>,
  from: number,
  x: number,
): void {
  const { kernels, batch } = work;
  const tokens = batchTokens(batch);
  const channels = rowCount(layer.x.weight);
  const start = kernels.mark();
  const linears = [layer.before, layer.after, layer.x] as const;
  const all = linears.map(() => kernels.reserve(tokens * channels * 4)) as [number, number, number];
  project(
    work,
    norm,
    from,
    "shortconv_in",
    linears.map((linear, i) => [linear, all[i]!] as const),
  );
  const [before, after, inner] = all;
  convolve(work, layer, before, after, inner);
  exchange(work, tokens, [layer.x, after]);
  addOutput(work, layer.output, postNorm, after, x, "shortconv_out");
  advanceStates(work);
  kernels.reset(start);
}

/** after = after × conv(before × x), all [tokens][channels], of this thread's channels. */
function convolve(work: Work, layer: ShortConvPlan, before: number, after: number, x: number): void {
  const { kernels, weights, batch } = work;
  const [first, count] = ownRows(weights, layer.x.weight);
  const mark = kernels.mark();
  const weight = weights.transposed(kernels, layer.conv.weight) + first * 4;
  const row = rowCount(layer.x.weight) * 4;
  for (let chunk = 0; chunk < batch.chunks; chunk++) {
    const at = chunk * batch.context * row + first * 4;
    kernels.call("short_conv")(
      ...[before + at, after + at, x + at, after + at, row, weight, row],
      ...[batch.context, count, rowLength(layer.conv.weight), statePart(work, chunk, 0)],
    );
  }
  kernels.reset(mark);
}

/** What last went into the convolution, [kernel - 1][channels]. */
function stateShape({ x, conv }: ShortConvPlan, weights: Pick<Weights, "share">): RecurrentShape {
  const [, channels] = shareOfRows(weights, rowCount(x.weight));
  return [(rowLength(conv.weight) - 1) * channels];
}

function memory({ x, conv, output }: ShortConvPlan, { width, tokens, piece }: RunSize): number {
  const channels = rowCount(x.weight);
  const products = slabMemory(x.weight, piece) + slabMemory(output.weight, piece);
  const all = tokens * 3 * channels + channels * rowLength(conv.weight);
  return 4 * (all + piece * (channels + 2 * width)) + products;
}
