import type { ComparedModel, PartDeviation } from "../../eval/compare/compare-models.js";
import { t } from "../../language/t.js";
import { axes, frameOf, linearScale, logScale, round, svg } from "./chart.js";
import { labelledParts, tickName } from "./model-charts.js";

// All files in one chart, as lines: their errors layer by layer, and how many tokens diverge how far.

const HEIGHT = 300;
/** Colours of lines; with more files they begin anew, dashed. */
const COLOURS = 8;
/** Below this share of the largest error a line is drawn at the bottom. */
const LEAST_SHARE = 1e-4;

/** The class of each file's lines. */
export function lineClasses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const dash = Math.floor(i / COLOURS) % 3;
    return `line c${i % COLOURS}${dash === 0 ? "" : ` dash${dash}`}`;
  });
}

/** Relative errors of the weights over the layers, logarithmic: those of files differ by factors. */
export function layersOverlay(models: readonly ComparedModel[], classes: readonly string[]): string {
  const frame = frameOf(HEIGHT);
  const parts = models.reduce<readonly PartDeviation[]>(
    (most, model) => (model.parts.length > most.length ? model.parts : most),
    [],
  );
  const errors = models.flatMap((model) => model.parts.map(({ relativeError }) => 100 * relativeError));
  const drawn = errors.filter((error) => error > 0 && error < Number.POSITIVE_INFINITY);
  const highest = Math.max(...drawn, 1e-3);
  const lowest = Math.max(Math.min(...drawn, highest / 10), highest * LEAST_SHARE);
  const y = logScale(lowest / 1.3, highest * 1.3, frame.bottom, frame.top);
  const step = (frame.right - frame.left) / parts.length;
  const centers = new Map(parts.map(({ part }, i) => [part, frame.left + (i + 0.5) * step]));
  const lines = models.map((model, i) =>
    polyline(
      model.parts.flatMap(({ part, relativeError }) => {
        const x = centers.get(part);
        return x === undefined || Number.isNaN(relativeError)
          ? []
          : [[x, y.at(100 * relativeError)] as const];
      }),
      classes[i]!,
    ),
  );
  const scale = {
    at: (i: number) => frame.left + (i + 0.5) * step,
    ticks: labelledParts(parts, step),
  };
  return svg({
    id: "layers",
    title: t`Error of the weights, layer by layer`,
    description: t`A line for each file: relative RMS error of the weights against the base, on a logarithmic axis, from the embedding through all layers to the output.`,
    height: HEIGHT,
    body:
      axes(
        frame,
        { scale, label: t`layer`, format: (i) => tickName(parts[i]!) },
        { scale: y, label: t`relative RMS error of the weights, %` },
      ) + lines.join(""),
  });
}

/** Of all tokens, how many diverge by more than so much. */
export function tokensOverlay(models: readonly ComparedModel[], classes: readonly string[]): string {
  const frame = frameOf(HEIGHT);
  const { edges } = models[0]!.histogram;
  const x = logScale(edges[0]!, edges.at(-1)!, frame.left, frame.right);
  const y = linearScale(0, 100, frame.bottom, frame.top);
  const lines = models.map(({ histogram: { counts } }, i) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    let left = total;
    const points = counts.map((count, bin) => {
      const point = [x.at(edges[bin]!), y.at((100 * left) / total)] as const;
      left -= count;
      return point;
    });
    return polyline(points, classes[i]!);
  });
  return svg({
    id: "tokens",
    title: t`Tokens that diverge by more than so much`,
    description: t`A line for each file: share of the tokens whose Kullback-Leibler divergence from the base is larger than what the logarithmic axis says. Lower lines are closer to the base.`,
    height: HEIGHT,
    body:
      axes(
        frame,
        { scale: x, label: t`divergence of a token (KLD), nats` },
        { scale: y, label: t`tokens that diverge more, %` },
      ) + lines.join(""),
  });
}

function polyline(points: readonly (readonly [x: number, y: number])[], className: string): string {
  const text = points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
  return `<polyline class="${className}" points="${text}"/>`;
}
