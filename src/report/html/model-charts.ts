import type { ComparedModel, PartDeviation } from "../../eval/compare/compare-models.js";
import { t } from "../../language/t.js";
import { axes, bar, type Frame, frameOf, line, linearScale, logScale, round, svg } from "./chart.js";
import { labelWidth } from "./place-labels.js";

// Of each model, the error of its weights layer by layer and the spread of its divergence token by token. All models
// have the same axes, so that their charts can be laid beside each other.

const HEIGHT = 220;
const MAX_BAR = 26;

/** What all models' charts share. */
export interface Limits {
  readonly relativeError: number;
  readonly share: number;
}

export function limitsOf(models: readonly ComparedModel[]): Limits {
  return {
    relativeError: Math.max(
      ...models.flatMap(({ parts }) =>
        parts.map(({ relativeError }) => relativeError).filter(Number.isFinite),
      ),
      1e-6,
    ),
    share: Math.max(
      ...models.flatMap(({ histogram: { counts } }) => counts.map((count) => count / sum(counts))),
    ),
  };
}

/** Relative error of each layer's weights, as bars. */
export function layerChart({ parts }: ComparedModel, id: string, name: string, limits: Limits): string {
  const frame = frameOf(HEIGHT);
  const y = linearScale(0, 100 * limits.relativeError, frame.bottom, frame.top, 4);
  const step = (frame.right - frame.left) / parts.length;
  const center = (i: number) => frame.left + (i + 0.5) * step;
  const width = Math.min(MAX_BAR, step * 0.8);
  const bars = parts.map((part, i) => {
    const top = y.at(100 * Math.min(part.relativeError, limits.relativeError));
    const title = `${partName(part)}: ${percentOf(part.relativeError)}`;
    return bar(center(i) - width / 2, top, width, frame.bottom - top, title);
  });
  const ticks = labelledParts(parts, step);
  const scale = { at: center, ticks };
  const format = (i: number) => tickName(parts[i]!);
  const worst = parts.reduce((a, b) => (b.relativeError > a.relativeError ? b : a), parts[0]!);
  return svg({
    id,
    title: t`Error of the weights of ${name}, layer by layer`,
    description: t`Relative RMS error against the base, from the embedding through all layers to the output. Largest: ${partName(worst)}, ${percentOf(worst.relativeError)}.`,
    height: HEIGHT,
    body:
      axes(
        frame,
        { scale, label: t`layer`, format },
        { scale: y, label: t`relative RMS error of the weights, %` },
      ) + bars.join(""),
  });
}

/** The first, the last, and as many of the layers between as have room, at equal steps. */
export function labelledParts(parts: readonly PartDeviation[], step: number): number[] {
  const every = [1, 2, 4, 5, 8, 10, 16, 20, 32].find((count) => count * step >= 24) ?? 64;
  const ends = parts.flatMap(({ part }, i) => (typeof part === "number" ? [] : i));
  return parts.flatMap(({ part }, i) => {
    if (typeof part !== "number") return i;
    const isFree = ends.every((end) => Math.abs(end - i) * step >= 28);
    return part % every === 0 && isFree ? i : [];
  });
}

/** In how many tokens the divergence is how large, on a logarithmic axis. */
export function divergenceHistogramChart(
  { histogram, divergence }: ComparedModel,
  id: string,
  name: string,
  limits: Limits,
): string {
  const frame = frameOf(HEIGHT);
  const { edges, counts } = histogram;
  const x = logScale(edges[0]!, edges.at(-1)!, frame.left, frame.right);
  const y = linearScale(0, 100 * limits.share, frame.bottom, frame.top, 4);
  const total = sum(counts);
  const bars = counts.map((count, i) => {
    if (count === 0) return "";
    const [left, right] = [x.at(edges[i]!), x.at(edges[i + 1]!)];
    const top = y.at((100 * count) / total);
    return bar(
      left + 0.5,
      top,
      right - left - 1,
      frame.bottom - top,
      t`${binName(edges, i)} nats: ${count} tokens`,
    );
  });
  const { median, kld } = { median: divergence.kld.median, kld: divergence.kld.value };
  return svg({
    id,
    title: t`Divergence of ${name}, token by token`,
    description: t`Share of tokens by their Kullback-Leibler divergence from the base, on a logarithmic axis. Median ${median.toPrecision(3)}, mean ${kld.toPrecision(3)} nats.`,
    height: HEIGHT,
    body: [
      axes(frame, { scale: x, label: t`KLD, nats` }, { scale: y, label: t`share of tokens, %` }),
      ...bars,
      ...marks(frame, [
        { at: x.at(median), name: t`median`, className: "mark median" },
        { at: x.at(kld), name: t`mean`, className: "mark mean" },
      ]),
    ].join(""),
  });
}

interface Mark {
  readonly at: number;
  readonly name: string;
  readonly className: string;
}

/** Lines from top to bottom with their names at the top, on both sides where there is room, else below each other. */
function marks({ left, right, top, bottom }: Frame, two: readonly [Mark, Mark]): string[] {
  const [first] = [...two].sort((a, b) => a.at - b.at);
  return two.map((mark) => {
    const width = labelWidth(mark.name) + 6;
    const isLeft = mark === first && mark.at - width > left;
    const isRight = mark.at + width < right;
    const anchor = isLeft || !isRight ? "end" : "start";
    const y = mark === first && !isLeft ? top + 22 : top + 8;
    const x = round(mark.at + (anchor === "end" ? -4 : 4));
    const text = `<text class="name" x="${x}" y="${y}" text-anchor="${anchor}">${mark.name}</text>`;
    return `${line(mark.at, top, mark.at, bottom, mark.className)}${text}`;
  });
}

export function partName({ part }: PartDeviation): string {
  return typeof part === "number" ? t`layer ${part}` : part === "token_embd" ? t`token embedding` : t`output`;
}

export function tickName({ part }: PartDeviation): string {
  return typeof part === "number" ? String(part) : part === "token_embd" ? t`emb` : t`out`;
}

export function percentOf(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toPrecision(3)} %` : t`not a number`;
}

/** The range of a bin; the outer ones have all that is beyond. */
export function binName(edges: readonly number[], i: number): string {
  const [from, to] = [edges[i]!, edges[i + 1]!].map((edge) => edge.toPrecision(2));
  if (i === 0) return t`up to ${to}`;
  return i === edges.length - 2 ? t`${from} and more` : t`${from} to ${to}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
